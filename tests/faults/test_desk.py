"""A desk outlives its Redis: it says what is wrong, keeps what it last saw, and goes on by itself."""

import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.desks import EventStream, running_desk
from worker.embedded import RedisServer

CHANGE = {"weights": {"voice": 1}, "reason": "a test"}


@pytest.mark.any_redis
@pytest.mark.fault("Redis is killed while browsers watch a desk, and started again")
def test_redis_is_killed_while_browsers_watch(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sampling-worker-") as folder, RedisServer(Path(folder)) as server:
        settings = {"REDIS_URL": server.url}
        with running_desk(settings, tmp_path) as desk, closing(EventStream(desk)) as stream:
            views = (event.document for event in stream if event.kind == "view")
            made = desk.post("/api/weights", CHANGE).document
            seen = next(view for view in views if view["weights"]["version"] == made["version"])
            server.kill()
            lost = next(view for view in views if not view["redis"]["ok"])
            assert lost["weights"] == seen["weights"]
            assert server.url.removeprefix("redis://").partition("/")[0] in lost["redis"]["problem"]
            refused = desk.post("/api/weights", CHANGE)
            assert (refused.status, refused.document["error"]) == (503, "redis")
            assert desk.get("/api/desk").status == 200
            server.start()
            assert next(view for view in views if view["redis"]["ok"])
            assert desk.post("/api/weights", CHANGE).status == 200


@pytest.mark.any_redis
@pytest.mark.fault("a desk is started while nothing answers at REDIS_URL")
def test_a_desk_starts_without_redis_and_says_so(tmp_path: Path) -> None:
    settings = {"REDIS_URL": "redis://127.0.0.1:9/0"}
    with running_desk(settings, tmp_path) as desk, closing(EventStream(desk)) as stream:
        view = stream.next("view")
        assert (view["redis"]["ok"], view["weights"]["version"]) == (False, None)
        assert "127.0.0.1:9" in view["redis"]["problem"]
        preview = desk.post("/api/preview", {"weights": {"voice": 1}})
        assert (preview.status, preview.document["error"]) == (503, "redis")
        assert desk.get("/api/history").status == 503
