"""Reading, deriving and validating an experiment."""
