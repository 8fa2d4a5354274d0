"""Scores any checkpoint on any registered policy family; knows families, backends and metrics only by entry point."""
