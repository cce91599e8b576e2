"""Optimizers that Model Garden lacks."""
