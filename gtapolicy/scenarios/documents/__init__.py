"""Makers of images to read: boards, receipts, charts, maps, notices, control panels and mathematics.

Read boards.py first: most documents are a board with a title and rows. The simplest makers are in prices.py.
"""
