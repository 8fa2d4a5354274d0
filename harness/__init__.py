"""Scores any checkpoint on any policy family; finds families, backends and metrics by entry point."""
