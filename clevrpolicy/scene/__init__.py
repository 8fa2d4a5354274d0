"""CLEVR-like scenes: what they contain, where objects are placed, which pixels show them, and their pictures.

Read in this order: ontology, lamps, placement, camera, visibility, clevr_json, shapes, ground_maps, gl,
render, crops.
"""
