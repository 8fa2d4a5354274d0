"""Pictures whose texts, counts, boxes and numbers are known before a pixel is drawn."""
