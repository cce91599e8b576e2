"""How good a trained model or an export is, on labelled images."""
