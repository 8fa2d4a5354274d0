"""What is measured on scored responses, one file per metric. Read `metric` first, then `accuracy`.

Metrics are registered under the entry point group `harness.metrics`; other packages can add their own.
"""
