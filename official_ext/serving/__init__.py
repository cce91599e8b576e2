"""From a checkpoint to its exports, and predictions from them."""
