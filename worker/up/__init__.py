"""One machine, a library of one's own: lasting servers, the library, and a worker, in one command."""

from worker.up.life import Wanted, run_up
from worker.up.screen import Screen, Shown, Status

__all__ = ["Screen", "Shown", "Status", "Wanted", "run_up"]
