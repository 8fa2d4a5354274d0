"""`trimpi report`: the stored runs of a sweep as one Markdown page with tables and plots.

Read `results` (figures of each cell and their means over seeds), then `tables` and `plots`, then `grids` (a
section for each grid) and `page` (the whole page).
"""
