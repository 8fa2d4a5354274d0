"""Dialogs of several turns (`harness eval --multi-turn`).

`dialog` makes one instance of a dialog, and one response of all its turns; `turns` asks the turns.
"""
