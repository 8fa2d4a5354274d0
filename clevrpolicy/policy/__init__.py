"""ClevrPolicy's policies: a decision tree, its wording, and the gold reasoning that follows it.

Read in this order: tree, wording, reasoning, policies.
"""
