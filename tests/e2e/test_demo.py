"""The demo is a test of its own: its exit status says whether its checks hold."""

import signal
import tempfile
from pathlib import Path

from tests.support.command import start_command
from tests.support.waiting import wait_until_sync


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("sampling-demo-*"))


def test_the_demo_holds_its_own_checks_and_cleans_up(tmp_path: Path) -> None:
    out, before = tmp_path / "out", folders()
    demo = start_command("demo", "--seconds", "6", "--chunks", "20000", settings={}, out=out)
    status = demo.wait(150)
    text = out.read_text()
    assert status == 0, text
    assert "killed with SIGKILL" in text
    assert text.count("first draw under them") == 2
    assert " 0 lost, 0 doubled, 0 under older weights, 0 wrong; chi-square p = " in text
    assert folders() == before


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    out, before = tmp_path / "out", folders()
    demo = start_command("demo", "--seconds", "600", "--chunks", "1000", settings={}, out=out)
    wait_until_sync(lambda: "training jobs ask" in out.read_text(), timeout_s=120, what="the demo to begin")
    demo.send_signal(signal.SIGINT)
    assert demo.wait(60) == 130
    assert folders() == before
