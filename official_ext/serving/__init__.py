"""From a checkpoint to a SavedModel, and predictions from it."""
