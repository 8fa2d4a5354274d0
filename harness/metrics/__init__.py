"""What is measured on scored responses, registered under the entry point group harness.metrics."""
