"""Funnel-ViT: a funnel-shaped Vision Transformer for TensorFlow Model Garden.

Paper: "Funnel Vision Transformer for image classification".
"""

__version__ = '0.1.0'
