"""Pages of others, other names and programs without the token get nothing from a desk, and nothing through it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run_command
from tests.support.desks import RunningDesk, running_desk
from tests.support.servers import connect
from worker.settings.environment import environment_with

CANARY = "t0ken-of-the-desk-0123456789"
WITHOUT_UVICORN = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "uvicorn" else found(name, *more)
from worker.__main__ import main
main()
"""
POLICY = {"script-src 'self'", "style-src 'self'", "default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"}
WEIGHTS = {"weights": {"voice": 1}, "reason": "a test"}

pytestmark = pytest.mark.any_redis


@pytest.fixture
def settings(redis_url: str, prefix: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix}


@pytest.fixture
def desk(settings: dict[str, str], tmp_path: Path) -> Iterator[RunningDesk]:
    with running_desk(settings, tmp_path, "--allow-host", "desk.example") as desk:
        yield desk


@pytest.fixture
def closed_desk(settings: dict[str, str], tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk that demands a token, and reads it from a file."""
    (tmp_path / "token").write_text(CANARY + "\n")
    with running_desk(settings, tmp_path, "--token-file", str(tmp_path / "token")) as desk:
        yield desk
        assert CANARY not in desk.printed.read_text()


def test_requests_of_other_pages_are_refused_and_change_nothing(desk: RunningDesk, redis_url: str, prefix: str) -> None:
    port = desk.port
    refused = {
        "a rebound name": desk.get("/api/desk", Host=f"evil.example:{port}"),
        "no name": desk.get("/api/desk", Host=""),
        "a name that begins like ours": desk.get("/api/desk", Host=f"127.0.0.1.evil.example:{port}"),
        "user and host": desk.get("/api/desk", Host=f"127.0.0.1@evil.example:{port}"),
        "another page": desk.post("/api/weights", WEIGHTS, Origin="http://evil.example"),
        "another port": desk.post("/api/weights", WEIGHTS, Origin="http://127.0.0.1:1"),
        "a page of a file": desk.post("/api/weights", WEIGHTS, Origin="null"),
        "a page that looks": desk.get("/api/events", Origin="http://evil.example"),
        "an image on another page": desk.get("/api/desk", Sec_Fetch_Site="cross-site"),
        "a sister's page": desk.get("/api/events", Sec_Fetch_Site="same-site"),
        "nobody": desk.post("/api/weights", WEIGHTS, Origin=None),
        "a link to more than the page": desk.get("/api/desk", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate"),
    }
    assert {what: answer.status for what, answer in refused.items()} == dict.fromkeys(refused, 403)
    assert all("; accepted: " in answer.document["message"] for answer in refused.values())
    with connect(redis_url) as client:
        assert client.keys(f"{prefix}*") == []


def test_own_names_are_accepted_and_every_answer_forbids_what_it_can(desk: RunningDesk) -> None:
    port = desk.port
    for host in (f"localhost:{port}", f"[::1]:{port}", "DESK.example", "127.0.0.1"):
        assert desk.get("/api/desk", Host=host).status == 200
        assert desk.post("/api/weights", {}, Host=host, Origin=f"http://{host}").document["error"] == "bad_request"
    assert desk.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status != 403
    answers = [
        desk.get("/api/desk"),
        desk.get("/nothing"),
        desk.get("/", Host="evil.example"),
        desk.post("/api/desk", 1),
    ]
    assert [answer.status for answer in answers] == [200, 404, 403, 405]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert set(policy.split("; ")) >= POLICY
        assert "unsafe" not in policy
        assert "*" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_bodies_are_json_of_known_fields_and_bounded(desk: RunningDesk, redis_url: str, prefix: str) -> None:
    many = {f"c{number}": 1 for number in range(10_001)}
    wrong: dict[str, Any]
    form = desk.post("/api/weights", b"weights=1", Content_Type="application/x-www-form-urlencoded")
    assert (form.status, form.document["error"]) == (415, "not_json")
    for body in (b"", b"{", b"[]", b"1", b"\xff", b'{"weights": {"voice": NaN}}', b"[" * 200_000, b'{"a": 1, "a": 1}'):
        assert desk.post("/api/weights", body).status == 400
    for wrong in (
        {"weights": {"voice": 1}, "bogus": 1},
        {"weights": [1]},
        {"weights": {"voice": "1"}},
        {"weights": {"voice": -1}},
        {"weights": {"Voice": 1}},
        {"weights": {}},
        {"weights": {"voice": 0}},
        {"weights": many},
        {**WEIGHTS, "dataset": "a b"},
        {**WEIGHTS, "dataset": ["a"]},
        {**WEIGHTS, "reason": "x" * 1001},
        {**WEIGHTS, "reason": 1},
        {**WEIGHTS, "who": "x" * 65},
        {**WEIGHTS, "who": "a\nb"},
        {**WEIGHTS, "for_s": -1},
        {**WEIGHTS, "for_s": "1h"},
        {**WEIGHTS, "for_s": 1e300},
        {**WEIGHTS, "if_version": "x"},
        {**WEIGHTS, "if_version": 1},
    ):
        answer = desk.post("/api/weights", wrong)
        assert answer.status == 400, wrong
        assert "; accepted: " in answer.document["message"], answer.document
    giant = b'{"weights": {"voice": 1}, "reason": "' + b"x" * (3 << 20) + b'"}'
    assert desk.post("/api/weights", giant).status == 413
    assert desk.post("/api/weights", b"", Content_Length=str(1 << 40)).status == 413
    with connect(redis_url) as client:
        assert client.keys(f"{prefix}*") == []


@pytest.mark.needs_linux
def test_a_body_that_says_no_length_is_bounded_too(desk: RunningDesk) -> None:
    head = (
        f"POST /api/weights HTTP/1.1\r\nHost: {desk.host}\r\nOrigin: {desk.url}\r\nContent-Type: application/json\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", desk.port), timeout=60) as link:
        link.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        link.sendall(20 * chunk)
        before = desk.memory_bytes()
        link.sendall(1000 * chunk)
        assert link.recv(1024).startswith(b"HTTP/1.1 413 ")
        assert desk.memory_bytes() - before < 8 << 20


def test_paths_lead_to_the_files_of_the_page_alone(desk: RunningDesk) -> None:
    login = desk.get("/static/login.css")
    assert (login.status, login.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert desk.get("/static/login.css", If_None_Match=login.headers["etag"]).status == 304
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/", "/static/app.py"):
        assert desk.get(path).status == 404, path


def test_without_the_token_nothing_is_told(closed_desk: RunningDesk, redis_url: str, prefix: str) -> None:
    for path in ("/api/desk", "/api/view", "/api/events", "/api/history", "/api/categories", "/api/nothing"):
        assert closed_desk.get(path).status == 401
        assert closed_desk.get(path, Authorization=f"Bearer {CANARY[:-1]}").status == 401
        assert closed_desk.get(path, Cookie=f"desk={CANARY}").status == 401
    assert closed_desk.post("/api/weights", WEIGHTS).status == 401
    form = closed_desk.get("/")
    assert form.status == 401
    assert b'name="token"' in form.body
    assert closed_desk.get("/?token=wrong").status == 401
    assert closed_desk.get(f"/api/desk?token={CANARY}").status == 401
    with connect(redis_url) as client:
        assert client.keys(f"{prefix}*") == []


def test_the_token_gives_a_cookie_once_and_is_in_no_address_afterwards(closed_desk: RunningDesk) -> None:
    typed = closed_desk.ask(
        "POST",
        "/login",
        f"token={CANARY}".encode(),
        Origin=closed_desk.url,
        Content_Type="application/x-www-form-urlencoded",
    )
    for answer in (typed, closed_desk.get(f"/?token={CANARY}")):
        assert (answer.status, answer.headers["location"]) == (303, "/")
        cookie, *rules = answer.headers["set-cookie"].split("; ")
        assert {rule.lower() for rule in rules} >= {"httponly", "samesite=strict", "path=/"}
        assert "secure" not in {rule.lower() for rule in rules}
        assert CANARY not in answer.headers["set-cookie"]
        assert closed_desk.get("/api/desk", Cookie=cookie).status == 200
        assert closed_desk.get("/api/desk", Cookie=cookie[:-1]).status == 401
    assert closed_desk.get("/api/desk", Authorization=f"Bearer {CANARY}").status == 200
    behind_tls = closed_desk.get(f"/?token={CANARY}", X_Forwarded_Proto="https")
    assert "; secure" in behind_tls.headers["set-cookie"].lower()


def test_a_wrong_form_is_answered_by_the_form_with_a_sentence(closed_desk: RunningDesk) -> None:
    form = {"Origin": closed_desk.url, "Content_Type": "application/x-www-form-urlencoded"}
    wrong = closed_desk.ask("POST", "/login", b"token=wrong", **form)
    assert wrong.status == 401
    assert b"That is not the token of this desk." in wrong.body
    assert closed_desk.ask("POST", "/login", b"token=" + b"x" * 10_000, **form).status == 413
    assert closed_desk.ask("POST", "/login", b"{}", **{**form, "Content_Type": "application/json"}).status == 415
    stranger = {**form, "Origin": "http://evil.example"}
    assert closed_desk.ask("POST", "/login", f"token={CANARY}".encode(), **stranger).status == 403


def run_desk(settings: dict[str, str], tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run_command("desk", *options, settings=settings, cwd=tmp_path)


def test_what_cannot_be_listened_on_is_said_at_the_start(settings: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = {
            "no token": run_desk(settings, tmp_path, "--host", "0.0.0.0", "--port", "0"),  # noqa: S104 - refused
            "taken": run_desk(settings, tmp_path, "--port", port),
            "not ours": run_desk(settings, tmp_path, "--host", "192.0.2.1", "--port", "0"),
            "unknown": run_desk(settings, tmp_path, "--host", "no-such-host.invalid", "--port", "0"),
            "a port in a name": run_desk(settings, tmp_path, "--allow-host", "desk.example:80"),
            "no file": run_desk(settings, tmp_path, "--token-file", "nowhere"),
        }
    assert {what: one.returncode for what, one in ended.items()} == dict.fromkeys(ended, 2)
    assert all("; accepted: " in one.stderr or "accepted: the path" in one.stderr for one in ended.values())
    assert "others can reach the desk, and it has no token" in ended["no token"].stderr
    assert "another program listens there" in ended["taken"].stderr


def test_without_the_extra_it_says_what_to_install(settings: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_UVICORN, "desk"],
        env=environment_with({**settings, "PYTHONPATH": str(Path(__file__).parents[2])}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "sampling-worker: there is no uvicorn to serve with: pip install 'sampling-worker[desk]'\n"


def test_with_a_token_it_listens_everywhere_and_is_asked_by_any_address(
    settings: dict[str, str], tmp_path: Path
) -> None:
    given = {**settings, "WORKER_DESK_TOKEN": CANARY}
    with running_desk(given, tmp_path, "--host", "0.0.0.0") as desk:  # noqa: S104 - with a token
        bearer = f"Bearer {CANARY}"
        assert desk.get("/api/desk", Host=f"192.0.2.7:{desk.port}", Authorization=bearer).status == 200
        assert desk.get("/api/desk", Host=f"192.0.2.7:{desk.port}").status == 401
        assert desk.get("/api/desk", Host=f"evil.example:{desk.port}", Authorization=bearer).status == 403
