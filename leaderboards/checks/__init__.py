"""What a submission is checked for before it is stored. Nothing in it is trusted.

Read `submission` (reading a folder safely) first, then `verify` (recomputing all figures), which uses
`judgements`; `leaks` compares training data with the test set.
"""
