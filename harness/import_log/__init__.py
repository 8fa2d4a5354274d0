"""`harness import-log`: logs of other evaluators as runs. Read `logs` (the command) first."""
