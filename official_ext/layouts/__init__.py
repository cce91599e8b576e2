"""What layouts cost, and which of them meet a budget."""
