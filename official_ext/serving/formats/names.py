"""What formats, inputs, outputs and files of an export are called.

Writers, runtimes and clients agree on these names. They need nothing but
Python, so that a command can name its flags before it imports TensorFlow.
"""

SAVED_MODEL = 'saved_model'
LITERT = 'tflite'
ONNX = 'onnx'
FORMATS = (SAVED_MODEL, LITERT, ONNX)

# Of a LiteRT file; the others are float32. Only float32 is the arithmetic of
# the training.
FLOAT32 = 'float32'
INT8 = 'int8'
PRECISIONS = (FLOAT32, 'float16', 'dynamic_range', INT8)

# Kinds of input of a SavedModel, and the signatures that take them.
IMAGE_BYTES = 'image_bytes'
DEFAULT_SIGNATURE = 'serving_default'
SIGNATURES = {
    IMAGE_BYTES: DEFAULT_SIGNATURE,
    'image_tensor': 'image_tensor',
    'tf_example': 'tf_example',
}
# Of a model that segments, with one image in each request.
WITH_PROBS = 'image_bytes_with_probs'
MASK_SIGNATURES = {
    IMAGE_BYTES: DEFAULT_SIGNATURE,
    'image_tensor': 'image_tensor',
    WITH_PROBS: 'with_probs',
}
# The input of the other formats.
IMAGES = 'images'
# Outputs of every format, and those of a SavedModel alone.
LOGITS = 'logits'
PROBS = 'probs'
TOP_CLASSES = 'top_classes'
TOP_INDICES = 'top_indices'
TOP_PROBS = 'top_probs'
# Of a model that segments: the class of each pixel.
MASK = 'mask'

# Among the assets of a SavedModel.
CLASS_NAMES_FILE = 'class_names.txt'
DESCRIPTION_FILE = 'model.json'
# In the description of a SavedModel that XLA compiles.
XLA_KEY = 'xla'
# Of the description, in the metadata of a LiteRT or ONNX file.
DESCRIPTION_KEY = 'funnel_vit'
