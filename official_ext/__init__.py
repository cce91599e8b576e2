"""Funnel-ViT: a funnel-shaped Vision Transformer for TensorFlow Model Garden.

Paper: "Funnel Vision Transformer for image classification".
"""

from official_ext import legacy_keras
from official_ext.command_line import former_names

__version__ = '0.1.0'

# Whatever is imported of this project comes after this.
legacy_keras.prefer()
former_names.install()
