"""Files on disk. Read `store` first (writing that survives kill -9), then `workdir` and `benchmark`."""
