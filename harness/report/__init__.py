"""The report of a run: report.json, report.html and the tables for the terminal.

Read `figures` first (what a report contains), then `page` (the HTML) with `gallery` (which samples it shows)
and `plots`. `savings`, `prices` and `text` (tables) are short helpers.
"""
