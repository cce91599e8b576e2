"""Published Vision Transformers in, and ours out again."""
