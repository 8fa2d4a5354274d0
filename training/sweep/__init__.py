"""`trimpi sweep`: methods, benchmarks and seeds in one TOML file, each combination trained and scored."""
