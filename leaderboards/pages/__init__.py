"""How boards are displayed. Read `ranking` first: the ranked entries and columns that all forms share.

`page` renders HTML with `plots`, `serve` serves it over HTTP, and `export` writes files.
"""
