"""Generates benchmarks of GTAPolicy from dialogs, which are generated or imported from the real GTA.

Start with `dialogs`, the common form, and `generate`, which runs both commands. Dialogs come from
`plain_dialogs`, `importer` and `gtapolicy.scenarios`, and `instances` turns them into questions.
"""
