"""Running an experiment: trainer, progress, memory, summary."""
