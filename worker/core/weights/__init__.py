"""Weights: their values, what is in force, presets, changes and history."""
