"""`harness browse`: the instances of a benchmark in a browser, with the responses of runs.

Read `selection` first (which instances are shown), then `page` (the HTML, from drawings of harness/drawing)
and `serve`.
"""
