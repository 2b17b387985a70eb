"""The live view: one process looks at Redis once a second and keeps a bounded history, however many people watch."""

from worker.live.desk import LiveDesk

__all__ = ["LiveDesk"]
