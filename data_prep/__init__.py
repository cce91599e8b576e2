"""From images as they come to TFRecords; knows nothing of models."""

import os

# Conversion uses no accelerator; TensorFlow need not report that it finds none.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
