"""`harness export`: a benchmark in the form that other evaluators and trainers open.

Read `rows` (what a row contains), `parquet` (how it is written), then `format` (the base class of what each
tool wants), `tools` (one folder for each tool), `card` (the README) and `write` (the command). Each folder of
a tool contains the files that are copied next to its data. They call `harness.grade` or `harness.reward`, so
every tool gives the scores of the harness.
"""
