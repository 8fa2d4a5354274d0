"""How a family generates a benchmark: `blocks`, the parts of a large one, and `jobs`, which resume."""
