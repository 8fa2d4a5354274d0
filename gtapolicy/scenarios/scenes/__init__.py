"""Makers of images to look at: groups of objects, drawn scenes and photographs.

object_pictures.py (to count, find and describe objects) can be read by itself. For scenes read scene.py, then
queries.py; landscapes.py, settlements.py and photographs.py create the scenes.
"""
