"""Model Garden's task, with labels checked."""
