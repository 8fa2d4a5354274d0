"""Scores any checkpoint on any policy family; finds families, backends and metrics by entry point.

Read `records` (the data), `variants`, `family` and `run` (an evaluation from prompts to the report) first.
Then `backends` (models), `metrics`, `report`, `compare`, `judge` and `general` can be read in any order.
"""
