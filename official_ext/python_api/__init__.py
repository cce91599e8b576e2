"""What a program calls: trained models, and new ones, in Python."""
