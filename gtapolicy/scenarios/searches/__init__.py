"""Makers of images of a named entity, such as a book. Their queries can be answered only by a search.

Read entities.py (the pictures and the search results), then queries.py.
"""
