"""What a trained model is written as: SavedModel, LiteRT, ONNX."""
