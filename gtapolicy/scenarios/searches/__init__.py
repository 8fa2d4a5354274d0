"""Makers of images of something with a name, about which a query asks what only a search can answer.

Read entities.py (what is shown, and what a search finds), then queries.py.
"""
