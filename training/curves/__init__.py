"""Metrics of a training run: logged while it trains, and drawn as curves of one run or several.

Read `history` first (the log and its format), then `log` (writes it), `panels` and `page` (draw it).
"""
