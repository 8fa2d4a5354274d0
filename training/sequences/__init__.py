"""The sequences that a stage learns: their tokens in the chat template, and which of them the loss counts.

Read `dataset` (prompt and response in every stage), `template` (their tokens) and `collate` (batches).
`policy_rows` writes sequences about the policy itself.
"""
