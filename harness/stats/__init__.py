"""Statistics of scores.

Read `intervals` first (means with 95 % intervals), because every metric uses it, then `clusters` (which
instances belong together), `significance` (of paired differences) and `agreement` (of two judges).
"""
