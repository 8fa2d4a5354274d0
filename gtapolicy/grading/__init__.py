"""Grades responses to GTAPolicy, and analyzes which version rules they cite.

Start with `family`, which the harness calls, and `calls`, which reads and scores a tool call with the help of
`expression` and `text_similarity`. `check` and `error_analysis` look at the reasoning and the first error;
`baselines` scores agents that know no rules.
"""
