"""Weights that no person types: starting points, mixes from elsewhere, and rules that move them within guards."""
