"""The adapters of PostgreSQL."""
