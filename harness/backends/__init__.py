"""Where responses come from: one file a backend, registered under the entry point group harness.backends."""
