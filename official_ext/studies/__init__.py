"""Studies: many trainings of one experiment, and what they say together."""
