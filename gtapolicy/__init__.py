"""Versioned, user-conditional tool rules. Nothing is here yet."""
