"""The model: layouts, token operations, encoder, backbone."""
