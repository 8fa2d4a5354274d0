"""Grades responses to GTAPolicy, and analyzes which version rules they cite.

Start with `family`, which the harness calls, and `calls`, which parses and scores a tool call with
`expression` and `text_similarity`. `check` checks the rules that a response cites, `error_analysis`
finds the first error, and `baselines` scores agents that know no rules.
"""
