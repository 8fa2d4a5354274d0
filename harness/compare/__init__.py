"""`harness compare`: the differences between models that were scored on the same instances.

Read `matching` first (which runs are compared), then `differences` (with their intervals) and `page` (the
table and the HTML page).
"""
