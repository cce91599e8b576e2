"""Configurations: the backbone's dataclasses and the registered experiments."""
