"""The desk reads its token from its own places, and no sentence shows it."""

from pathlib import Path

import pytest

from worker.errors import SettingsError
from worker.settings.for_desk import read_desk_settings
from worker.settings.model import load_settings

REDIS = {"REDIS_URL": "redis://localhost"}
NOWHERE = Path("/nonexistent")
CANARY = "c4n4ry-" + "x" * 20
OTHER = "y" * 16
BAD = ["", "short", "x" * 15, "x" * 1025, f"{CANARY} {CANARY}", f"{CANARY}ä", f"{CANARY}\t"]


def test_without_a_token_there_is_none() -> None:
    assert read_desk_settings(None, REDIS, NOWHERE).token is None


def test_the_token_comes_from_the_option_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{CANARY}\n")
    given = {**REDIS, "WORKER_DESK_TOKEN": OTHER}
    assert read_desk_settings(None, given, NOWHERE).token == OTHER
    assert read_desk_settings(file, given, NOWHERE).token == CANARY
    assert read_desk_settings(None, {**REDIS, "WORKER_DESK_TOKEN_FILE": str(file)}, NOWHERE).token == CANARY


@pytest.mark.parametrize(
    "token", ["", "short", "x" * 15, "x" * 1025, f"{CANARY} {CANARY}", f"{CANARY}ä", f"{CANARY}\t"]
)
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(SettingsError, match="WORKER_DESK_TOKEN is not accepted; accepted: 16 to 1024") as caught:
        read_desk_settings(None, {**REDIS, "WORKER_DESK_TOKEN": token}, NOWHERE)
    assert "c4n4ry" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(SettingsError, match="'/nonexistent' cannot be read"):
        read_desk_settings(NOWHERE, REDIS, NOWHERE)


def test_a_worker_reads_no_token_and_no_settings_show_one() -> None:
    given = {**REDIS, "DATABASE_URL": "postgresql://h/d", "WORKER_DESK_TOKEN": "short"}
    assert load_settings(given, dotenv=NOWHERE).desk_token is None
    assert CANARY not in repr(read_desk_settings(None, {**REDIS, "WORKER_DESK_TOKEN": CANARY}, NOWHERE))
