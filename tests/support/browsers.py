"""A real browser that nobody sees: Debian's Chromium, driven through playwright."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

# The first has no windows at all: a page of it takes two thirds of the processor time.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_STARTED_MS = 60_000
# Each window of a whole Chromium, seen or not, draws the list under its address bar as an extra page. That page has a
# process of its own. This list replaces Playwright's, so it repeats what keeps a browser off the network.
_LEFT_OUT = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "AimEnabled",
    "HttpsUpgrades",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
)
_OPTIONS = (
    "--no-sandbox",  # root runs it in containers
    "--disable-dev-shm-usage",  # /dev/shm of a container is small
    f"--disable-features={','.join(_LEFT_OUT)}",
)
_EXPECTED = re.compile(r"Failed to load resource: (the server responded with a status of (401|409|503)|net::ERR_)")


def find_browser() -> Path | None:
    """Return the browser of this machine; None where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return None if found is None else Path(found)


def describe_browser() -> str:
    """Return a line for the header of a run."""
    found = find_browser()
    return f"browser: {found}" if found else "browser: no chromium on the PATH, tests of the desk's page not collected"


@contextmanager
def running_browser() -> Iterator["Browser"]:
    """Run a browser.

    Playwright runs an event loop in this thread until the end: nothing inside may call `asyncio.run`.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class DeskPage:
    """The desk's page in one tab: what a person sees and does, and what the browser complains about."""

    page: "Page"
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> "DeskPage":
        """Note errors of scripts, and what the console says of refused styles, scripts and connections."""
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return self

    def _note(self, message: "ConsoleMessage") -> None:
        if message.type in {"error", "warning"} and not _EXPECTED.match(message.text):
            self.complaints.append(message.text)

    def strip(self, name: str) -> "Locator":
        return self.page.locator(f'.strip[data-name="{name}"]')

    def fader(self, name: str) -> "Locator":
        return self.page.get_by_role("slider", name=f"Weight of {name}", exact=True)

    def weight(self, name: str) -> float:
        return float(self.fader(name).get_attribute("aria-valuenow") or "nan")

    def share(self, name: str) -> str:
        return self.strip(name).locator(".figure.share span").last.inner_text()

    def key(self, does: str, name: str) -> "Locator":
        """Return one of the three keys of a strip: Mute, Solo, Lock the share of."""
        return self.page.get_by_role("button", name=f"{does} {name}", exact=True)

    @property
    def says(self) -> str:
        return self.page.locator("#says").inner_text()

    @property
    def notices(self) -> str:
        return self.page.locator("#notices").inner_text()

    def grab(self, name: str, by: float) -> None:
        """Take the cap of a fader and move it by pixels, downwards where `by` is above 0; it stays held."""
        cap = self.strip(name).locator(".cap")
        cap.scroll_into_view_if_needed()
        box = cap.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x, y + by, steps=5)
        self.wait_drawn()

    def drag(self, name: str, by: float) -> None:
        """Move a fader, and let it go."""
        self.grab(name, by)
        self.page.mouse.up()
        self.wait_drawn()

    def wait_drawn(self) -> None:
        """Wait until the page shows what was done so far: it draws with the next frame."""
        self.page.evaluate("new Promise(requestAnimationFrame)")

    def cell(self, table: str, row: str, column: str) -> "Locator":
        """Return a cell of the table in a named region; the column's name is unique there."""
        sheet = self.page.get_by_role("region", name=table)
        sheet.wait_for()
        columns = sheet.get_by_role("columnheader").all_inner_texts()
        [at] = [number for number, text in enumerate(columns) if text == column]
        rows = sheet.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name=row, exact=True))
        return rows.locator("th, td").nth(at)

    def wait_shown(self, selector: str, text: str) -> None:
        """Wait until an element holds a text."""
        self.page.locator(selector).filter(has_text=text).first.wait_for(timeout=_STARTED_MS)

    def wait_strips(self) -> "DeskPage":
        self.page.locator(".strip").first.wait_for(timeout=_STARTED_MS)
        return self
