"""Files on disk: how they are written, and what the folders of benchmarks and runs contain.

Read `store` first (writing that survives kill -9), then `mistakes` (what is wrong with a file, in words),
`workdir` (who may use a folder), `kinds` (what a folder is), `manifest` (reading a benchmark), `benchmark`
(generating and grading one) and `responses` (those of a run).
"""
