"""`harness compare`: the differences between models that were scored on the same instances.

Read `pairs` first (which runs are compared, and the differences with their intervals), then `page` (the
table and the HTML page).
"""
