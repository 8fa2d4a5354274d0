"""ClevrPolicy's policies: a decision tree, its wording, and the gold reasoning that follows it.

Read in this order: tree, table (the same decisions, faster), wording, reasoning, policies.
"""
