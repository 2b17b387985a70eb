"""The folder of a running worker: its health, and the lock on its name."""
