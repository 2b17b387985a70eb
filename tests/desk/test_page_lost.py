"""The page when something is gone: it says so, keeps what it knows, and comes back by itself."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.browsers import DeskPage, running_browser
from tests.support.desks import running_desk
from tests.support.servers import new_database, running
from tests.support.stage import MIX, Stage, running_stage
from tests.support.waiting import wait_until_sync
from worker.embedded import PostgresServer, RedisServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_browser]

BACK_S = 60.0


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    """A server that the tests may kill; it keeps what it holds."""
    with running(lambda folder: RedisServer(folder, options=("--appendonly", "yes"))) as server:
        yield server


@pytest.fixture(scope="module")
def own_stage(
    own_redis: RedisServer,
    postgres_server: PostgresServer,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    with new_database(postgres_server, template=migrated_template) as database_url:
        settings = {"REDIS_URL": own_redis.url, "DATABASE_URL": database_url, "WORKER_PREFIX": "audio"}
        with running_stage(settings, tmp_path_factory.mktemp("stage")) as stage:
            yield stage


@pytest.fixture(scope="module")
def own_browser(own_stage: Stage) -> Iterator["Browser"]:
    del own_stage
    with running_browser() as browser:
        yield browser


@pytest.mark.fault("Redis is killed while the desk's page is open")
def test_a_killed_redis_is_shown_and_recovered_from(
    own_stage: Stage, own_browser: "Browser", own_redis: RedisServer
) -> None:
    desk = DeskPage(own_browser.new_page()).listen()
    desk.page.goto(own_stage.desk.url)
    desk.wait_strips()
    own_redis.kill()
    desk.wait_shown("#link-text", "Redis is lost")
    desk.wait_shown("#notices", "The last known values stay.")
    assert desk.page.locator("body.stale").count() == 1
    assert desk.weight("voice") == MIX["voice"]
    assert desk.fader("voice").get_attribute("aria-disabled") == "true"
    desk.wait_shown("#says", "Redis does not answer.")
    own_redis.start()
    desk.wait_shown("#link-text", "Live")
    wait_until_sync(lambda: "stale" not in desk.page.content()[:2000], timeout_s=BACK_S, what="the page is not grey")
    desk.drag("voice", -40)
    wait_until_sync(lambda: own_stage.stored()["voice"] > MIX["voice"], timeout_s=BACK_S, what="a fader works again")
    assert desk.complaints == []
    desk.page.close()


@pytest.mark.fault("The desk is killed while its page is open, and another one takes its port")
def test_a_killed_desk_is_shown_and_its_successor_found(own_stage: Stage, own_browser: "Browser") -> None:
    desk = DeskPage(own_browser.new_page()).listen()
    with running_desk(own_stage.settings, own_stage.folder) as first:
        desk.page.goto(first.url)
        desk.wait_strips()
        first.process.kill()
        first.process.wait(BACK_S)
        desk.wait_shown("#link-text", "Nothing heard since")
        desk.wait_shown("#notices", "The desk is not heard. What stands here is old; it comes back by itself.")
        port = str(first.port)
        with running_desk(own_stage.settings, own_stage.folder, "--port", port):
            desk.wait_shown("#link-text", "Live")
            desk.fader("music").press("ArrowUp")
            desk.wait_shown("#says", "Applied by 1 of 1")
    token = own_stage.folder / "token"
    token.write_text("t0ken-of-the-desk-0123456789\n")
    with running_desk(own_stage.settings, own_stage.folder, "--port", port, "--token-file", str(token)):
        desk.wait_shown("#notices", "The desk shows nothing: The desk asks for its token: reload this page.")
        desk.page.close()
    assert desk.complaints == []
