"""Connections to PostgreSQL by our rules: the environment overrides nothing that the URL says."""

import os
import random
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.nonsense import speaking
from tests.support.terminator import behind
from worker.adapters.postgres.client import connected
from worker.adapters.postgres.tls import ways_to_encrypt
from worker.errors import PostgresError, PostgresLoginError, PostgresUnreachableError

_PG = [name for name in os.environ if name.startswith("PG")]
_OTHERS = {
    "PGSERVICE": "other",
    "PGSERVICEFILE": "/no/such/file",
    "PGOPTIONS": "-c search_path=nowhere",
    "PGTZ": "Nowhere/Nowhere",
    "PGAPPNAME": "other",
    "PGCONNECT_TIMEOUT": "soon",
    "PGCLIENTENCODING": "nonsense",
    "PGDATESTYLE": "nonsense",
    "PGCHANNELBINDING": "require",
    "PGREQUIREAUTH": "none",
    "PGGSSENCMODE": "require",
    "PGGSSLIB": "nonsense",
    "PGSYSCONFDIR": "/no/such/folder",
    "PGSSLMINPROTOCOLVERSION": "SSLv2",
    "PGSSLMAXPROTOCOLVERSION": "SSLv2",
    "SSLKEYLOGFILE": "/no/such/folder/keys",
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in _PG:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def environment(database_url: str) -> Iterator[pytest.MonkeyPatch]:
    """Change the environment, until shortly before the database is dropped."""
    assert database_url
    with pytest.MonkeyPatch.context() as changed:
        yield changed


async def _show(url: str, name: str = "application_name") -> str:
    async with connected(url, statement_timeout_s=10) as connection:
        return str(await connection.fetchval("select current_setting($1)", name))


async def _problem(url: str, kind: type[PostgresError] = PostgresError) -> str:
    with pytest.raises(kind) as caught:
        await _show(url)
    assert type(caught.value) is kind
    return str(caught.value)


async def test_variables_of_others_change_nothing(database_url: str, environment: pytest.MonkeyPatch) -> None:
    for name, value in _OTHERS.items():
        environment.setenv(name, value)
    assert await _show(database_url) == "sampling-worker"
    assert await _show(database_url, "search_path") == '"$user", public'


async def test_what_the_url_says_stays(database_url: str, environment: pytest.MonkeyPatch) -> None:
    given = {"PGHOST": "/nowhere", "PGPORT": "tcp://10.0.0.5:80", "PGUSER": "x", "PGDATABASE": "x", "PGSSLMODE": "x"}
    for name, value in {**given, "PGTARGETSESSIONATTRS": "x", "PGPASSFILE": "/", "PGPASSWORD": "x"}.items():
        environment.setenv(name, value)
    said = f"{database_url}?sslmode=disable&target_session_attrs=any"
    assert await _show(said) == "sampling-worker"


async def test_what_it_leaves_out_is_what_psql_would_take(database_url: str, environment: pytest.MonkeyPatch) -> None:
    host, _, port = database_url.partition("@")[2].partition("/")[0].partition(":")
    for name, value in {"PGHOST": host, "PGPORT": port, "PGUSER": "postgres", "PGSSLMODE": "prefer"}.items():
        environment.setenv(name, value)
    assert await _show(f"postgresql:///{database_url.rpartition('/')[2]}") == "sampling-worker"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"PGSSLMODE": "perhaps"}, "PGSSLMODE of the environment: its sslmode is not disable"),
        (
            {"PGSSLMODE": "verify-full"},
            "sslmode=verify-full needs the certificates of an authority; accepted: sslrootcert",
        ),
        ({"PGSSLMODE": "require"}, "rejected SSL upgrade (PGSSLMODE of the environment took part)"),
        ({"PGSSLCERT": "/no/such/file"}, "PGSSLCERT of the environment: its sslcert=/no/such/file cannot be read"),
        ({"PGTARGETSESSIONATTRS": "standby"}, "(PGTARGETSESSIONATTRS of the environment took part)"),
    ],
)
async def test_a_variable_that_spoils_it_is_named(
    database_url: str, given: Mapping[str, str], reason: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        environment.setenv(name, value)
    with pytest.raises(PostgresError) as caught:
        await _show(database_url)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=prefer",
        "connect_timeout=10",
        "keepalives=1&keepalives_idle=5&keepalives_interval=2&keepalives_count=2&tcp_user_timeout=9000",
        "keepalives=0",
        "gssencmode=disable&sslsni=1&sslcompression=0&load_balance_hosts=disable",
        "sslmode=prefer",
        "sslmode=allow",
        "sslmode=disable",
        "pgbouncer=true&connection_limit=1&pool_timeout=0&schema=public&client_encoding=LATIN1",
        "target_session_attrs=read-write",
        "sslnegotiation=postgres&krbsrvname=postgres",
    ],
)
async def test_parameters_of_others_work(database_url: str, query: str) -> None:
    assert await _show(f"{database_url}?{query}") == "sampling-worker"


async def test_parameters_reach_the_server(database_url: str) -> None:
    url = f"{database_url}?application_name=mine&options=-c%20work_mem%3D5MB&schema=of%22others&timezone=Asia/Tokyo"
    assert await _show(url) == "mine"
    assert await _show(url, "work_mem") == "5MB"
    assert await _show(url, "search_path") == '"of""others"'
    assert await _show(url, "timezone") == "Asia/Tokyo"


async def test_several_hosts_are_tried(database_url: str) -> None:
    place = database_url.partition("@")[2]
    assert await _show(f"postgresql://postgres@127.0.0.1:1,{place}") == "sampling-worker"


async def test_a_folder_of_sockets_is_a_host(tmp_path: Path) -> None:
    sentence = await _problem(f"postgresql://postgres@/x?host={tmp_path}", PostgresUnreachableError)
    assert "No such file or directory" in sentence or "not reachable" in sentence


# -- whatever is raised ---------------------------------------------------------------------------------------


@pytest.mark.needs_root
def test_a_user_without_a_name_is_told_to_give_one(tmp_path: Path) -> None:
    program = (
        "import asyncio, os\n"
        "from worker.adapters.postgres.client import connected\n"
        "os.setresuid(123456, 123456, 123456)\n"
        "asyncio.run(connected('postgresql://127.0.0.1:1/db', statement_timeout_s=1).__aenter__())"
    )
    environ = {"PYTHONPATH": str(Path(__file__).parents[3]), "HOME": "/"}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.stderr.strip().splitlines()[-1] == (
        "worker.errors.PostgresLoginError: PostgreSQL at postgresql://127.0.0.1:1/db: it names no user, "
        "and the user who runs this has no name; accepted: postgresql://USER@HOST/DATABASE"
    )


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", "a..b", "xn--" + "a" * 70, ".", "%00", "%ff%fe", "b\u00fcro-" + "x" * 70]
)
async def test_a_host_that_is_no_name_is_a_sentence(host: str) -> None:
    with pytest.raises(PostgresError, match=r"^PostgreSQL at postgresql://u@"):
        await _show(f"postgresql://u@{host}:1/db")


# Of the driver's own making: it deletes connections that it has half made.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_whatever_a_server_says_is_of_the_surroundings() -> None:
    """Anything may answer at the port: whatever it says becomes a sentence of ours."""
    rng = random.Random(14)
    kinds = b"RSKEZNTDCA1"

    def speak() -> bytes:
        said = [] if rng.random() < 0.8 else [rng.choice([b"S", b"E", b"N", b"HTTP/1.1 400 Bad Request\r\n\r\n"])]
        for _ in range(rng.randint(0, 6)):
            body = rng.choice(
                [rng.randbytes(rng.randint(0, 12)), struct.pack("!i", rng.choice([0, 3, 5, 10, 11, 99])), b""]
            )
            length = len(body) + 4 if rng.random() < 0.8 else rng.choice([0, 3, 2**31 - 1])
            said.append(rng.choice(kinds).to_bytes() + struct.pack("!I", length) + body)
        return b"".join(said)

    with speaking(speak) as port:
        for _ in range(100):
            with pytest.raises(PostgresError, match=r"^PostgreSQL at postgresql://u"):
                await _show(f"postgresql://u:p@127.0.0.1:{port}/db?sslmode=disable")


# -- the home folder ------------------------------------------------------------------------------------------


@pytest.mark.needs_root
@pytest.mark.parametrize("query", ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=disable"])
async def test_a_home_that_may_not_be_looked_into_is_not_needed(
    database_url: str, query: str, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "closed"
    (home / ".postgresql").mkdir(parents=True)
    for name in ("postgresql.key", "postgresql.crt", "root.crt", "root.crl"):
        (home / ".postgresql" / name).write_text("of somebody else")
    home.chmod(0o700)
    environment.setenv("HOME", str(home))
    os.seteuid(65534)
    try:
        assert await _show(f"{database_url}{query}") == "sampling-worker"
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("home", ["/no/such/folder", "/dev/null", "relative"])
async def test_a_home_that_is_none_is_not_needed(database_url: str, home: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HOME", home)
    assert await _show(database_url) == "sampling-worker"


async def test_files_of_the_home_folder_count_as_for_psql(database_url: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = tmp_path / ".postgresql"
    own.mkdir()
    port = int(database_url.partition("@")[2].partition("/")[0].rpartition(":")[2])
    with behind(port, authority.server_side(authority.pair()), is_asked_first=True) as front:
        url = f"postgresql://postgres@127.0.0.1:{front}/{database_url.rpartition('/')[2]}?sslmode=verify-full"
        assert "needs the certificates of an authority" in await _problem(url, PostgresLoginError)
        (own / "root.crt").write_bytes(authority.file.read_bytes())
        assert await _show(url) == "sampling-worker"
        stranger = Authority(tmp_path, "stranger")
        (own / "root.crt").write_bytes(stranger.file.read_bytes())
        assert "certificate" in await _problem(url, PostgresUnreachableError)


def test_certificates_of_this_machine_are_verified_by_host() -> None:
    (context,) = ways_to_encrypt({"sslmode": "verify-full", "sslrootcert": "system"})
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("mode", "ways"), [("disable", [False]), ("allow", [False, True]), ("prefer", [True, False]), ("require", [True])]
)
def test_the_ways_are_those_of_libpq(mode: str, ways: list[bool]) -> None:
    found = ways_to_encrypt({"sslmode": mode})
    assert [isinstance(way, ssl.SSLContext) for way in found] == ways
    assert all(way.verify_mode == ssl.CERT_NONE for way in found if isinstance(way, ssl.SSLContext))


def test_a_file_that_is_no_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nonsense")
    with pytest.raises(PostgresError, match=r"the files of TLS cannot be used \(.*\); accepted: PEM files"):
        ways_to_encrypt({"sslmode": "require", "sslrootcert": str(tmp_path / "x.pem")})
