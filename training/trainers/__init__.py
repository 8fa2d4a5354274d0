"""What all stages add to TRL's trainers: exact resuming, a warm-up, the loss of an update, checked fields."""
