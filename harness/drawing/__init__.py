"""Draws policies as trees and questions with marks, as SVG that a page or a PNG contains.

Read `layout` (which row each node of a tree has), `svg` (the drawings) and `instance` (what is drawn of an
instance, and the images that a page embeds once). `sheet` combines them into a PNG.
"""
