"""Local leaderboards that recompute what they show."""
