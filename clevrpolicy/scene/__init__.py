"""CLEVR-like scenes: what they contain, where objects are placed, which pixels show them, and their pictures.

Read in this order: ontology, placement, camera, visibility, clevr_json, shapes, gl, render, crops.
"""
