"""Messages to systemd arrive at its socket, whatever kind of address that has."""

from pathlib import Path

import pytest

from tests.support.systemd import ADDRESSES, listening
from worker.run_dir.systemd import READY, Systemd, extension, status


@pytest.mark.needs_linux
@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_message_is_one_datagram_of_lines(tmp_path: Path, kind: str) -> None:
    with listening(tmp_path, kind) as listener:
        systemd = Systemd(listener.address)
        systemd.tell(status("serving"), READY)
        systemd.tell(extension(0.25))
        assert listener.read() == [["STATUS=serving", "READY=1"], ["EXTEND_TIMEOUT_USEC=250000"]]


def test_a_socket_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        systemd = Systemd(listener.address)
    with pytest.raises(ConnectionRefusedError):
        systemd.tell(READY)


@pytest.mark.needs_linux
def test_a_socket_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        systemd = Systemd(listener.address)
        with pytest.raises(BlockingIOError):
            _fill(systemd)


def _fill(systemd: Systemd) -> None:
    for _ in range(100_000):
        systemd.tell(READY)
