"""Statistics of scores: `intervals` (means with 95 % intervals) and `agreement` (of two judges).

The two files are independent of each other. Read `intervals` first, because every metric uses it.
"""
