"""From images as they come to TFRecords; knows nothing of models."""
