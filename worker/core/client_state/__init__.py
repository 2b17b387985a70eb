"""The state of one client, without I/O: what it has asked for, what to send, and which results it keeps."""

from worker.core.client_state.account import (
    LONGEST_RECHECK_S,
    MOST_SENT,
    NEVER,
    PORTION_S,
    RECHECK_S,
    Ask,
    Callback,
    ClientState,
    Sending,
)
from worker.core.client_state.kept_results import MOST_FORGOTTEN, MOST_KEPT, MOST_KEPT_BYTES, Keeping, results_kept

__all__ = [
    "LONGEST_RECHECK_S",
    "MOST_FORGOTTEN",
    "MOST_KEPT",
    "MOST_KEPT_BYTES",
    "MOST_SENT",
    "NEVER",
    "PORTION_S",
    "RECHECK_S",
    "Ask",
    "Callback",
    "ClientState",
    "Keeping",
    "Sending",
    "results_kept",
]
