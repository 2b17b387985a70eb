"""Half a minute of chaos, once: the program itself, as it is run by hand for longer."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.trial import Figure

PROGRAM = Path(__file__).parent / "chaos.py"
SECONDS = 30
_DEADLINE_S = 600.0


@pytest.mark.fault("half a minute of all faults at random, weights and chunks changing meanwhile", "A05", "E07")
def test_half_a_minute_of_chaos_breaks_no_promise(figure: Figure) -> None:
    command = [sys.executable, str(PROGRAM), "--seconds", str(SECONDS), "--seed", "20"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert "every promise held" in ended.stdout
    recovered = re.findall(r"recovered in ([0-9.]+) s", ended.stdout)
    figure("recovered in", max(map(float, recovered)), "s")
