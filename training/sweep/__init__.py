"""`trimpi sweep` trains and scores methods x benchmarks x bases x seeds, all named in one TOML file.

Read `grid` (the file and its cells) and `checks`, then `inputs` (bases and benchmarks), `run` (all cells, and
the stored plan) and `cell` (one cell). The folder `report` turns the stored runs into a page of tables and
plots.
"""
