"""The demo is a test of its own: its exit status says whether its checks hold."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import start_command
from tests.support.waiting import wait_until_sync


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary directory for one demo; `nobody`, who runs PostgreSQL for root, may pass through."""
    with tempfile.TemporaryDirectory(prefix="test-demo-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_the_demo_holds_its_own_checks_and_cleans_up(tmp_path: Path, temporary: Path) -> None:
    out = tmp_path / "out"
    demo = start_command("demo", "--seconds", "6", "--chunks", "20000", settings={"TMPDIR": str(temporary)}, out=out)
    status = demo.wait(150)
    text = out.read_text()
    assert status == 0, text
    assert "killed with SIGKILL" in text
    assert text.count("first draw under them") == 2
    assert " 0 lost, 0 doubled, 0 under older weights, 0 wrong; chi-square p = " in text
    assert list(temporary.iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    out = tmp_path / "out"
    words = ("demo", "--seconds", "600", "--chunks", "1000", "--desk")
    demo = start_command(*words, settings={"TMPDIR": str(temporary), "BROWSER": "true"}, out=out)
    wait_until_sync(lambda: "training jobs ask" in out.read_text(), timeout_s=120, what="the demo to begin")
    assert list(temporary.glob("sampling-demo-*"))
    assert "desk on http://127.0.0.1:" in out.read_text()
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 130
    assert list(temporary.iterdir()) == []
