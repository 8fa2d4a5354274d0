"""`trimpi report`: the stored runs of a sweep as one Markdown page with tables and plots.

Read `results` (figures of each cell and their means over seeds), then `tables` and `plots`, then `page` (the
page, with a section for each grid).
"""
