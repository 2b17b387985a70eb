"""Weights, as verbs and clients change them: one step to store them, and a look at who draws under what."""
