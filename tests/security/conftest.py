"""The command as a subprocess, as in tests/e2e."""

from tests.e2e.conftest import run, settings, start_worker

__all__ = ["run", "settings", "start_worker"]
