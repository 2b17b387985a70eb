"""No reader of stdout holds up or ends the worker, and every line is either whole or counted."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker.logs.line_writer import BUFFER_LINES, MAX_LINE_BYTES, LineWriter

_TIMEOUT_S = 60

# What every program below begins with; it reports on stderr, since stdout is what breaks.
_PROLOGUE = f"""
import sys, time
from worker.logs.line_writer import LineWriter, BUFFER_LINES
def until(predicate):
    deadline = time.monotonic() + {_TIMEOUT_S}
    while not predicate():
        assert time.monotonic() < deadline
        time.sleep(0.01)
writer = LineWriter(1)
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: its reading and its writing end."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def _start(program: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _PROLOGUE + program], stderr=subprocess.PIPE, **streams)


def _finish(process: subprocess.Popen[bytes]) -> str:
    """Wait without reading stdout, and return what was said on stderr."""
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read().decode()
    assert process.wait(_TIMEOUT_S) == 0, said
    return said


def _line(number: int) -> str:
    return json.dumps({"number": number, "padding": "x" * (number % 300)})


def test_lines_come_out_whole_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LineWriter(file.fileno())
        for number in range(3000):
            writer.write(_line(number))
        writer.close(_TIMEOUT_S)
    assert path.read_text().splitlines() == [_line(number) for number in range(3000)]
    assert writer.dropped == 0


@pytest.mark.fault("writes to a log that others write to as well are ones that the system keeps whole", "H09")
def test_lines_are_joined_to_writes_that_the_system_keeps_whole() -> None:
    # In packet mode a pipe keeps the boundaries of writes.
    reader, end = os.pipe2(os.O_DIRECT)
    writer = LineWriter(end)
    for number in range(BUFFER_LINES):
        writer.write(_line(number))
    lines: list[str] = []
    packets = 0
    while len(lines) + writer.dropped < BUFFER_LINES:
        packet = os.read(reader, 2 * MAX_LINE_BYTES)
        packets += 1
        assert len(packet) <= MAX_LINE_BYTES
        assert packet.endswith(b"\n")
        lines += packet.decode().splitlines()
    writer.close(_TIMEOUT_S)
    os.close(reader)
    os.close(end)
    assert lines == [_line(number) for number in range(BUFFER_LINES)]
    assert packets < BUFFER_LINES


def test_a_non_blocking_descriptor_loses_nothing(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    os.set_blocking(end, False)
    writer = LineWriter(end)
    for number in range(5000):
        writer.write(_line(number))
    received = b""
    while received.count(b"\n") < 5000:
        received += os.read(reader, 1 << 16)
    writer.close(_TIMEOUT_S)
    assert received.decode().splitlines() == [_line(number) for number in range(5000)]


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_closed_reader_costs_the_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    os.close(reader)
    writer = LineWriter(end)
    for number in range(500):
        writer.write(_line(number))
    writer.close(_TIMEOUT_S)
    assert writer.dropped == 500


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_full_disk_costs_the_lines_and_nothing_else() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        writer = LineWriter(file.fileno())
        for number in range(500):
            writer.write(_line(number))
        writer.close(_TIMEOUT_S)
    assert writer.dropped == 500


def test_a_lone_surrogate_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LineWriter(file.fileno())
        writer.write("\ud800")
        writer.close(_TIMEOUT_S)
    assert path.read_bytes() == b"\\ud800\n"


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_stalled_reader_costs_what_the_buffer_cannot_hold_and_no_exit() -> None:
    process = _start(
        f"""
for number in range(3 * BUFFER_LINES):
    writer.write('{{"number": %d, "padding": "{"x" * 200}"}}' % number)
writer.close(0.1)
print(writer.dropped, file=sys.stderr)
""",
        stdout=subprocess.PIPE,
    )
    dropped = int(_finish(process))
    assert process.stdout is not None
    with process.stdout:
        numbers = [json.loads(line)["number"] for line in process.stdout]
    assert BUFFER_LINES < dropped <= 2 * BUFFER_LINES
    assert numbers == list(range(len(numbers)))
    assert numbers


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_reader_that_stalls_and_goes_on_gets_later_lines_too() -> None:
    process = _start(
        f"""
for number in range(2 * BUFFER_LINES):
    writer.write('{{"number": %d, "padding": "{"x" * 200}"}}' % number)
print(writer.dropped, file=sys.stderr, flush=True)
sys.stdin.read()
until(writer._lines.empty)
writer.write('{{"number": -1}}')
writer.close({_TIMEOUT_S})
""",
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stdin is not None
    assert process.stdout is not None
    dropped = int(process.stderr.readline())
    process.stdin.close()
    with process.stdout:
        numbers = [json.loads(line)["number"] for line in process.stdout]
    _finish(process)
    assert dropped > 0
    assert numbers[-1] == -1
    assert len(numbers) - 1 + dropped == 2 * BUFFER_LINES


@pytest.mark.fault("the log's reader is gone or stalls, the disk is full, by the writer of lines alone", "H05")
def test_a_line_cut_short_by_a_full_disk_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        process = _start(
            """
import resource
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
for number in range(20):
    writer.write('{"number": %d, "padding": "%s"}' % (number, "x" * 100))
until(lambda: writer.dropped == 13)
for number in range(3):
    writer.write('{"number": %d, "padding": "%s"}' % (number, "y" * 100))
until(lambda: writer.dropped == 16)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
writer.write('{"number": 100}')
writer.write('{"number": 101}')
writer.close(60)
print(writer.dropped, file=sys.stderr)
""",
            stdout=file.fileno(),
        )
        assert _finish(process) == "16\n"
    *whole, torn, last_but_one, last = path.read_text().splitlines()
    assert [json.loads(line)["number"] for line in whole] == list(range(7))
    assert torn.startswith('{"number": 7')
    assert not torn.endswith("}")
    assert [json.loads(line)["number"] for line in (last_but_one, last)] == [100, 101]


@pytest.mark.fault("sixteen processes write one log through one pipe: no line is torn", "H09")
def test_processes_share_a_pipe(pipe: tuple[int, int]) -> None:
    reader, end = pipe
    program = f"""
for number in range(300):
    padding = "x" * (number * 13 % 4000)
    writer.write('{{"process": "%s", "number": %d, "padding": "%s"}}' % (sys.argv[1], number, padding))
writer.close({_TIMEOUT_S})
assert writer.dropped == 0
"""
    command = [sys.executable, "-c", _PROLOGUE + program]
    processes = [subprocess.Popen([*command, str(i)], stdout=end) for i in range(16)]
    os.close(end)
    with os.fdopen(reader) as log:
        lines = [json.loads(line) for line in log]
    assert [process.wait(_TIMEOUT_S) for process in processes] == [0] * 16
    numbers: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        numbers[line["process"]].append(line["number"])
    assert list(numbers.values()) == [list(range(300))] * 16


def test_a_process_without_stdout_lives_on() -> None:
    program = _PROLOGUE + "writer.write('x'); writer.close(60); assert writer.dropped == 1; assert BUFFER_LINES"
    command = ["/bin/sh", "-c", 'exec "$0" "$@" >&-', sys.executable, "-c", program]
    assert subprocess.run(command, timeout=_TIMEOUT_S, check=False).returncode == 0
