"""Structured log lines: the only user of structlog."""
