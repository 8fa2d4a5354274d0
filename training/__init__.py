"""Training a checkpoint to follow a policy that it no longer sees. So far: a tiny random base model."""
