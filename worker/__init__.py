"""A sampling worker: a mixing desk for training data."""
