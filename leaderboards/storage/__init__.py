"""What is on disk of a folder of boards: a database, and the submitted files beside it.

Read `records` first, then `board` (the database) and `bundles` (the files).
"""
