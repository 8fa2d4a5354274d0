"""Makers of images to look at: groups of objects, drawn scenes and photographs.

object_pictures.py (count, find and describe objects) is independent of the others. For scenes, read scene.py,
then queries.py; landscapes.py, settlements.py and photographs.py create the scenes.
"""
