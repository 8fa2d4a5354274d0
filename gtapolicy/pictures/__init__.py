"""Pictures whose texts, counts, boxes and numbers are known before a pixel is drawn.

Read canvas.py (a drawing), then camera.py (a picture of it). The other files supply what is drawn: objects,
their settings, surfaces, props on desks, handwriting and photographs.
"""
