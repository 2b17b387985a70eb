"""Take the pictures of the desk: a run with two workers, a training, a rule in shadow, and people who change the mix.

    PYTHONPATH=. python tests/desk/screenshots.py [--seconds S]

It starts servers of its own, and writes `deploy/pictures/desk-light.png`, `desk-dark.png` and `desk-phone.png`.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from PIL import Image

from tests.support.browsers import DeskPage, running_browser
from tests.support.command import run_command
from tests.support.servers import running
from tests.support.stage import Stage, running_stage
from worker.adapters.postgres.migrate import migrate
from worker.core.catalog.manifest import ChunkRow
from worker.embedded import PostgresServer, RedisServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PICTURES = Path(__file__).parents[2] / "deploy" / "pictures"
_COLOURS = 128  # a picture of the desk has few; so its file is small
_LAPTOP = {"width": 1440, "height": 1236}
_PHONE = {"width": 390, "height": 844}
_SIZES = {
    "voice": 4203,
    "music": 6133,
    "singing": 2210,
    "documentary": 860,
    "conference": 322,
    "animal": 1480,
    "vehicle": 2655,
    "rain": 910,
    "custom": 3387,
}
_CHANGES: tuple[tuple[str, str, dict[str, float]], ...] = (
    (
        "alice",
        "first mix",
        {"voice": 30, "music": 30, "singing": 12, "documentary": 10, "conference": 6, "animal": 6, "vehicle": 6},
    ),
    (
        "bob",
        "more speech for stage two",
        {"voice": 50, "music": 20, "singing": 8, "documentary": 10, "conference": 6, "animal": 4, "vehicle": 2},
    ),
    (
        "carol",
        "street noise was missing",
        {"voice": 42, "music": 20, "singing": 8, "documentary": 8, "conference": 6, "animal": 4, "vehicle": 12},
    ),
)
_LAST = (
    "bob",
    "rain for robustness",
    {"voice": 42, "music": 20, "singing": 8, "documentary": 8, "conference": 4, "animal": 4, "vehicle": 12, "rain": 6},
)


def library() -> Iterator[ChunkRow]:
    """Describe a library with the proportions of a part of AudioSet."""
    for category, chunks in _SIZES.items():
        for number in range(chunks):
            yield ChunkRow(f"audioset/{category}/{number:05}.flac", category, "READY", 10.0)


@contextmanager
def stage() -> Iterator[Stage]:
    """Run servers, workers, a training and a desk."""
    with tempfile.TemporaryDirectory() as made, running(PostgresServer) as postgres, running(RedisServer) as redis:
        anyio.run(migrate, postgres.url)
        settings = {"REDIS_URL": redis.url, "DATABASE_URL": postgres.url, "WORKER_PREFIX": "audio"}
        with running_stage(settings, Path(made), rows=library(), workers=2) as running_:
            yield running_


def open_desk(browser: "Browser", desk: str, scheme: str, viewport: dict[str, int], **options: Any) -> DeskPage:
    """Open the desk in a browser of its own."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)  # type: ignore[arg-type]
    page = DeskPage(context.new_page())
    page.page.goto(desk)
    return page.wait_strips()


def take(page: DeskPage, name: str) -> None:
    """Take a picture of what is in sight."""
    page.page.mouse.move(0, 0)
    taken = Image.open(BytesIO(page.page.screenshot()))
    taken.convert("RGB").quantize(_COLOURS).save(PICTURES / f"{name}.png", optimize=True)


def show(stage_: Stage, browser: "Browser", seconds: float) -> None:
    """Let people change the mix while the desk is open, and take the pictures."""
    run_command(
        "adjust", "set", "cooldown", "over=2e6", "--mode", "shadow", settings=stage_.settings, cwd=stage_.folder
    )
    light = open_desk(browser, stage_.desk.url, "light", _LAPTOP)
    light.page.get_by_label("Name", exact=True).first.fill("alice")
    for who, why, mix in _CHANGES:
        stage_.set_weights(mix, who=who, reason=why)
        time.sleep(seconds / len(_CHANGES))
    stage_.set_weights(_LAST[2], who=_LAST[0], reason=_LAST[1])
    light.wait_shown("#notices", _LAST[1])
    time.sleep(12)  # long enough for two points of the graphs
    light.page.get_by_role("button", name="voice", exact=True).click()
    take(light, "desk-light")
    dark = open_desk(browser, stage_.desk.url, "dark", _LAPTOP)
    dark.page.get_by_label("Name", exact=True).first.fill("carol")
    dark.page.get_by_label("Hold changes").check()
    dark.page.get_by_label("Reason").fill("less music at night")
    dark.drag("music", 50)
    dark.drag("custom", -60)
    dark.wait_shown('.strip[data-name="custom"] .figure.of32', "±")
    take(dark, "desk-dark")
    phone = open_desk(browser, stage_.desk.url, "light", _PHONE, device_scale_factor=2, is_mobile=True, has_touch=True)
    take(phone, "desk-phone")


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180.0, help="how long samples are asked for")
    seconds = parser.parse_args().seconds
    PICTURES.mkdir(exist_ok=True)
    with stage() as stage_, running_browser() as browser:
        show(stage_, browser, seconds)


if __name__ == "__main__":
    main()
