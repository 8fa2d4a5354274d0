"""Versioned, user-conditional tool rules: which tool a user may call, and in which version."""
