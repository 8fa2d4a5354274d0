"""Pictures whose texts, counts, boxes and numbers are known before a pixel is painted.

Read drawing.py (what a drawing is), then documents.py, charts.py and svg.py (what draws one), then camera.py
(a picture of a drawing). templates/ has the Typst and SVG templates, packages/ what the Typst templates
import, and objects.toml the objects in the SVG templates.
"""
