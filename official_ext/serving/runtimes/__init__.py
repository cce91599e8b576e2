"""What runs an export: TensorFlow, LiteRT, ONNX Runtime."""
