"""Settings that a run does not read: one table, by what they are of."""
