"""What every field of an experiment may be: one table, by configuration."""
