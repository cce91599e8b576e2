"""A trained model, its validation data and the names of its classes."""
