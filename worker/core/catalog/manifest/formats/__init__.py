"""Formats of others whose rows need more than other names of columns."""
