"""GTAPolicy: policies that decide which tool a user may call, and in which version, depending on the user.

Start with `policy` (the rules and their text) and `grading` (how a call is scored). `dataset` creates
benchmarks from dialogs. `scenarios` generates dialogs, and `pictures` draws their images.
"""
