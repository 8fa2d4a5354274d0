"""Grades responses to ClevrPolicy, and analyzes what they state about the conditions of the policy.

Start with `family`, which the harness calls. `parse` reads the conditions that a response cites, `check`
compares them with the decision tree, and `error_analysis` finds the first error of a wrong response.
"""
