"""A `.env` is mostly of others: it stops nothing, and its lines that give a setting are understood or refused."""

import os
import random
from pathlib import Path

import pytest

from worker.client.address import find_address
from worker.errors import SettingsError
from worker.settings import notices
from worker.settings.environment import read_sources
from worker.settings.model import load_settings
from worker.settings.names import VARIABLES

URLS = {"REDIS_URL": "redis://:pw@localhost:6379/0", "DATABASE_URL": "postgresql://worker:pw@localhost:5432/audio"}
ACCEPTED = "accepted: NAME=value, in UTF-8"

OF_OTHERS = {
    "shell": b"source ~/.bashrc\nif [ -n \"$X\" ]; then\n  export A='b'\nfi\n",
    "YAML": b"version: 2\nKEY: value\nlist:\n  - a\n",
    "JSON": b'{\n  "KEY": "value"\n}\n',
    "Latin-1": b"A=caf\xe9\n",
    "UTF-16 without a mark": "A=1\nWORKER_PREFIX=x\n".encode("utf-16-le"),
    "unbalanced quotes": b"A='b\nB=\"c\n",
    "another tool's WORKER_": b"WORKER_CONCURRENCY=4\nWORKER_CLASS: gevent\nWORKER_PORT 80\n",
    "binary": bytes(range(256)) * 40,
    "nothing": b"",
    "NULs": b"\0" * 100,
    "one long line": b"A" * 900_000,
    "many quotes": b'A="\n' * 20_001,
}


@pytest.fixture(autouse=True)
def _fresh_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_written", set())


@pytest.mark.parametrize("content", OF_OTHERS.values(), ids=OF_OTHERS)
def test_the_file_of_others_stops_nothing(tmp_path: Path, content: bytes) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(content)
    assert load_settings(URLS, dotenv=dotenv) == load_settings(URLS, dotenv=tmp_path / "none")


@pytest.mark.parametrize("content", OF_OTHERS.values(), ids=OF_OTHERS)
def test_settings_beside_lines_of_others_are_read(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"WORKER_PREFIX=mine\n" + content + b"\nexport WORKER_BATCH=7\n")
    if b"\0" in content:
        assert load_settings(URLS, dotenv=dotenv).prefix == "audio"
        assert capsys.readouterr().err == f"sampling-worker: {dotenv} is not text and is left out; {ACCEPTED}\n"
        return
    settings = load_settings(URLS, dotenv=dotenv)
    assert (settings.prefix, settings.batch) == ("mine", 7)
    assert capsys.readouterr().err.count("\n") <= 1


@pytest.mark.parametrize(
    "line",
    [
        "WORKER_PREFIX: mine",
        "WORKER_PREFIX mine",
        "  WORKER_PREFIX:=mine",
        '"WORKER_PREFIX": "mine",',
        "export WORKER_PREFIX: mine",
        "set WORKER_PREFIX=mine",
        "setenv WORKER_PREFIX mine",
        "declare -x WORKER_PREFIX=mine",
        '$env:WORKER_PREFIX="mine"',
        "- WORKER_PREFIX=mine",
        "ENV WORKER_PREFIX=mine",
        "WORKER_PREFIX='mine",
        'WORKER_PREFIX="mine',
        "WORKER_PREFX='mine",
        "WORKER_PREFIX_FILE='mine",
    ],
)
def test_a_line_that_gives_a_setting_and_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"# a comment\n\nOTHER=1\n{line}\nWORKER_BATCH=7\n")
    with pytest.raises(SettingsError, match=rf"\.env, line 4, gives WORKER_PREFI?X(_FILE)? and is not .*; {ACCEPTED}$"):
        load_settings(URLS, dotenv=dotenv)


def test_a_setting_within_the_quotes_of_others_is_refused(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text('A="open\nREDIS_URL=redis://:c4n4ry@h\nB="\n')
    with pytest.raises(SettingsError, match=rf"^{dotenv}, line 2, gives REDIS_URL and is not understood; {ACCEPTED}$"):
        load_settings({"DATABASE_URL": URLS["DATABASE_URL"]}, dotenv=dotenv)


def test_a_query_may_have_several_lines(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text('WORKER_CHUNKS_QUERY="select id, category\nfrom clips\n"\n')
    assert load_settings(URLS, dotenv=dotenv).chunks_query == "select id, category\nfrom clips\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfWORKER_PREFIX=mine\n",
        b"\xef\xbb\xbfWORKER_PREFIX=mine\r\nWORKER_BATCH=7\r\n",
        b"WORKER_PREFIX=mine\rWORKER_BATCH=7\r",
        b"export WORKER_PREFIX='mine'",
        b"   export   WORKER_PREFIX = mine  # ours",
        "WORKER_PREFIX=mine\r\n".encode("utf-16"),
        b"\xfe\xff" + "WORKER_PREFIX=mine\n".encode("utf-16-be"),
        b"A=caf\xe9\nWORKER_PREFIX=mine\n",
    ],
)
def test_encodings_and_line_ends_are_what_editors_write(tmp_path: Path, content: bytes) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(content)
    assert load_settings(URLS, dotenv=dotenv).prefix == "mine"


def test_a_value_in_another_encoding_is_refused_by_its_line(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"A=1\nWORKER_CONSUMER=caf\xe9\n")
    with pytest.raises(SettingsError, match=r"line 2, gives WORKER_CONSUMER and is not understood"):
        load_settings(URLS, dotenv=dotenv)


def test_what_is_no_file_is_not_read_and_does_not_hang(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "fifo", "dangling", "none", "folder/none", "fifo/none"):
        assert read_sources({}, tmp_path / name) == [{}, {}]
    assert read_sources({}, Path("/dev/zero")) == [{}, {}]


def test_a_loop_of_links_and_a_huge_file_are_left_out_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop, huge = tmp_path / "loop", tmp_path / "huge"
    loop.symlink_to(loop)
    with huge.open("wb") as file:
        file.write(b"WORKER_PREFIX=mine\n")
        file.truncate(1 << 40)
    for path in (loop, huge):
        assert load_settings(URLS, dotenv=path).prefix == "audio"
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"sampling-worker: {loop} cannot be read (Too many levels of symbolic links) and is left out",
        f"sampling-worker: {huge} is larger than 1 MiB and is left out",
    ]


def test_only_what_is_asked_for_has_to_be_understood(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("DATABASE_URL='open\nLOG_LEVEL: loud\nWORKER_PREFIX=mine\n")
    settings = load_settings({"REDIS_URL": "redis://h"}, need=["redis"], dotenv=dotenv)
    assert (settings.prefix, settings.database_url.get_secret_value()) == ("mine", "")
    with pytest.raises(SettingsError, match="line 1, gives DATABASE_URL"):
        load_settings({"REDIS_URL": "redis://h"}, dotenv=dotenv)


def test_a_working_directory_that_is_gone_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_settings(URLS).prefix == "audio"
    monkeypatch.chdir(tmp_path)


def test_a_client_that_is_told_its_url_reads_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("REDIS_URL='open\nWORKER_PREFIX=of-the-file\nWORKER_BACH=1\n")
    assert find_address("redis://h", "p", None) == ("redis://h", "p", None)
    assert find_address("redis://h", None, None).prefix == "audio"
    monkeypatch.setenv("WORKER_PREFIX", "of-the-environment")
    assert find_address("redis://h", None, None).prefix == "of-the-environment"
    assert find_address("redis://h", "p", None).prefix == "p"
    with pytest.raises(SettingsError, match=r"^\.env, line 1, gives REDIS_URL and is not understood"):
        find_address(None, "p", None)
    monkeypatch.setenv("REDIS_URL", "redis://of-the-environment")
    (tmp_path / ".env").write_text("DATABASE_URL='open\nWORKER_BACH: 1\n")
    assert find_address(None, None, None).url == "redis://of-the-environment"
    assert "is not understood and is left out" in capsys.readouterr().err


def test_any_bytes_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    """Lines as people write them, and bytes as disks do: whatever stands beside them, the settings are the file's."""
    rng = random.Random(12)
    dotenv = tmp_path / ".env"
    pieces = [
        b"WORKER_PREFIX",
        b"WORKER_BATCH=7",
        b"=",
        b"\n",
        b"\r\n",
        b"'",
        b'"',
        b"#",
        b"\\",
        b" ",
        b"export ",
        b"A=b",
    ]
    pieces += [
        b"REDIS_URL=redis://h",
        b"\xe9",
        b"\0",
        b"\xff\xfe",
        b"${A}",
        b": ",
        b"mine",
        b"\xe2\x80\xa8",
        b"WORKER_ID=1",
    ]
    refused = []
    for _ in range(800):
        content = b"".join(rng.choices(pieces, k=rng.randint(0, 25)))
        dotenv.write_bytes(content)
        try:
            settings = load_settings(URLS, dotenv=dotenv)
        except SettingsError as error:
            refused.append(str(error))
        else:
            assert settings.batch == 256 or b"WORKER_BATCH=7" in content, content
    assert 50 < len(refused) < 790
    assert [sentence for sentence in refused if not any(name in sentence for name in VARIABLES)] == []
