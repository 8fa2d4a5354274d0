"""How a folder of boards is stored: a database and the submitted files.

Read `records` first, then `board` (the database) and `bundles` (the files).
"""
