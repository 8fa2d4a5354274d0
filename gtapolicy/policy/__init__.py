"""A policy of GTAPolicy: tools, version rules that depend on the user's profile, and their text.

Start with `conditions` (of a version rule), `rules` (the table) and `wording` (the text). `profiles` samples
users, `override` changes the version rules, `random_rules` creates random policies of any size, and
`reasoning` writes gold responses.
"""
