"""An example of a package that extends the harness: a family, a backend and a metric, one file each."""
