"""What commands and clients read of the core loads no NumPy: it would take most of their start."""

import subprocess
import sys

import pytest

LIGHT = (
    "client_state",
    "draw.sessions",
    "redaction",
    "stats",
    "stats.judging",
    "weights.changes",
    "weights.history",
    "weights.left_out",
    "weights.presets",
    "wire",
    "workers.weights_in_use",
)


@pytest.mark.parametrize("module", LIGHT)
def test_it_loads_no_numpy(module: str) -> None:
    program = f"import sys, worker.core.{module}; print('numpy' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "False\n"
    )
