"""Pictures whose texts, counts, boxes and numbers are known before a pixel is drawn.

Read canvas.py (a drawing), then camera.py (a picture of a drawing). The other files draw objects, their
settings, surfaces, props on desks, and handwriting.
"""
