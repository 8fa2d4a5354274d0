"""`harness judge`: a language model scores how faithfully responses cite their policy.

Read `config` (the request) and `prompt` (what the judge reads, how its verdict is parsed) first, then `run`
(requests verdicts and resumes) and `summary` (the figures). The texts of the prompts are in prompts.toml.
"""
