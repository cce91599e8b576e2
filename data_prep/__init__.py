"""From images as they come to TFRecords; knows nothing of models.

The folder is at the top of the repository, and installed inside `official_ext`;
there a link stands for it in a checkout. Its modules import each other
relatively, so that they are one package under either name.
"""

import os

# Conversion uses no accelerator; TensorFlow need not report that it finds none.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
