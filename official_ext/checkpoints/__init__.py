"""What is in a checkpoint, and whether it fits."""
