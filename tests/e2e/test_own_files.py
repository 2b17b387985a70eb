"""README's section about own files, as it is printed: a folder of audio, `up`, a training that loads it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.e2e.machine import Machine
from worker.settings.environment import environment_with

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_linux]

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own files")[2].partition("\n## ")[0]
[PROGRAM] = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for line in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)[0].splitlines()]
RATE = 16_000


def _fill(folder: Path) -> None:
    """Write audio of half a second to two, in folders that are categories; and what else lies in such folders."""
    rng = np.random.default_rng(1)
    for category in ("voice", "music", "documentary", "conference calls/2024"):
        (folder / category).mkdir(parents=True)
        for number in range(20):
            noise = 0.1 * rng.standard_normal(int(rng.uniform(0.5, 2) * RATE)).astype(np.float32)
            soundfile.write(folder / category / f"no {number}.{('wav', 'flac')[number % 2]}", noise, RATE)
    (folder / "voice" / "empty.wav").touch()
    (folder / "notes.txt").write_text("not audio")


def test_from_a_folder_to_a_training_whose_mix_moves(machine: Machine) -> None:
    _fill(library := machine.folder / "audio")
    up = machine.up(library)
    machine.wait_ready(up)
    printed = machine.printed(up)
    assert "READY, but not drawn, as they have no weight: conference-calls" in printed
    assert "it is empty: 0 bytes" in printed
    assert "1 other file left out: 1 .txt" in printed

    program = machine.folder / "train.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        env=environment_with({**machine.settings, "PYTHONPATH": str(ROOT)}),
        cwd=machine.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [re.fullmatch(r"(\d+) \((\d+), (\d+)\) (\{.*\})", line) for line in done.stdout.splitlines()]
    heard = {int(line[1]): ast.literal_eval(line[4]) for line in lines if line}
    assert [*heard] == [50, 100, 150, 200]
    assert all(line and line[2] == "32" and RATE // 2 <= int(line[3]) <= 2 * RATE for line in lines)
    assert heard[50].keys() == heard[100].keys() == {"voice", "music", "documentary"}
    assert heard[200].keys() == {"voice", "music"}
    assert int(heard[200]["voice"].rstrip("%")) > 80  # of 1,600 chunks 90 %: 13 standard deviations
    assert "(more speech)" in machine.run("weights", "show").stdout

    [command] = [words.split() for words in COMMANDS if words.startswith("sampling-worker weights set")]
    assert machine.run(*command[1:], "--wait").returncode == 0
    assert machine.run("catalog", "scan", str(library), "--split", "val=0.25", "--wait").returncode == 0
    by_split = machine.run("sample", "--split", "val", "--count", "20", "--size", "8").stdout
    assert by_split.count("ids: ") == 20


def test_the_loop_is_short() -> None:
    code = [line for line in PROGRAM.splitlines() if line.strip() and not line.startswith(("from ", "import "))]
    assert len(code) <= 15
