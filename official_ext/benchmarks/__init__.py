"""Benchmarks: what the input, a training step and a prediction cost."""
