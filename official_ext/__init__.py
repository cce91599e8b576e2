"""Funnel-ViT: a funnel-shaped Vision Transformer for TensorFlow Model Garden.

Paper: "Funnel Vision Transformer for image classification".
"""

from official_ext import legacy_keras

__version__ = '0.1.0'

# Whatever is imported of this project comes after this.
legacy_keras.prefer()
