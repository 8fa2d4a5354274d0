"""Local leaderboards that recompute what they show. Nothing is here yet."""
