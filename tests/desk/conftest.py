"""Servers, a worker, a training and a desk that the tests of one module share: the page looks at something real."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browsers import DeskPage, running_browser
from tests.support.servers import new_database, sweep
from tests.support.stage import MIX, Stage, running_stage
from worker.embedded import PostgresServer, RedisServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Open = Callable[..., DeskPage]


@pytest.fixture(scope="module")
def redis_url_of_module(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture(scope="module")
def stage(
    redis_server: RedisServer,
    postgres_server: PostgresServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """What the page looks at; each test begins with the same weights."""
    folder, prefix = tmp_path_factory.mktemp("stage"), f"t{secrets.token_hex(4)}"
    with new_database(postgres_server, template=migrated_template) as database_url:
        settings = {"REDIS_URL": redis_server.url, "DATABASE_URL": database_url, "WORKER_PREFIX": prefix}
        try:
            with running_stage(settings, folder) as stage:
                yield stage
        finally:
            strangers = sweep(redis_server.url, prefix)  # also where it did not start: other tests would find it
    assert not strangers


@pytest.fixture(scope="module")
def browser(stage: Stage) -> Iterator["Browser"]:
    """A browser. It starts after the servers, as nothing may call `asyncio.run` while it is there."""
    del stage
    with running_browser() as browser:
        yield browser


@pytest.fixture
def open_desk(stage: Stage, browser: "Browser") -> Iterator[Open]:
    """Return what opens the page in a browser of one person; at the end no browser may have complained."""
    stage.set_weights(MIX, reason="a test begins")
    opened: list[DeskPage] = []
    with ExitStack() as contexts:

        def open_(who: str = "alice", path: str = "/", **options: Any) -> DeskPage:
            context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, **options})
            contexts.callback(context.close)
            desk = DeskPage(context.new_page()).listen()
            opened.append(desk)
            desk.page.goto(stage.desk.url + path)
            desk.wait_strips()
            if who:
                desk.page.get_by_label("Name", exact=True).first.fill(who)
            return desk

        yield open_
    assert [complaint for desk in opened for complaint in desk.complaints] == []
