"""How boards are displayed in a browser, in the terminal and as files.

Read `ranking` first: it computes the ranked entries and columns that are displayed everywhere. `page` renders
HTML with `plots`, `serve` serves the pages over HTTP, and `export` prints tables and writes files.
"""
