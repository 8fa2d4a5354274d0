"""Statistics of scores.

Read `intervals` first (means with 95 % intervals), because every metric uses it, then `clusters` (which
instances belong together), `significance` (of paired differences between runs), `paired` (the t-test of other
paired differences), `agreement` (of two judges) and `usage` (tokens and times of responses).
"""
