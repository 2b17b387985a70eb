"""A browser gives the token once: by the form, or by a link; a link from elsewhere opens the desk without asking."""

import re
from pathlib import Path

import pytest

from tests.support.browsers import DeskPage, running_browser
from tests.support.desks import running_desk

pytestmark = [pytest.mark.any_redis, pytest.mark.needs_browser]

CANARY = "t0ken-of-the-desk-0123456789"
MIX = "#voice=0.9&music=0.1"


def test_the_form_asks_once_and_a_link_from_elsewhere_asks_no_more(redis_url: str, prefix: str, tmp_path: Path) -> None:
    settings = {"REDIS_URL": redis_url, "WORKER_PREFIX": prefix, "WORKER_DESK_TOKEN": CANARY}
    with running_desk(settings, tmp_path) as desk, running_browser() as browser:
        page = browser.new_context().new_page()
        page.goto(desk.url + "/" + MIX)
        page.get_by_label("Token of this desk").fill("wrong")
        page.get_by_role("button", name="Open").click()
        page.get_by_role("alert").filter(has_text="That is not the token of this desk.").wait_for()
        page.wait_for_load_state()  # its script keeps the mix of the link
        page.get_by_label("Token of this desk").fill(CANARY)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(re.escape(f"{desk.url}/{MIX}")))
        DeskPage(page).wait_strips()

        page.route(
            "http://elsewhere.example/",
            lambda route: route.fulfill(body=f'<a href="{desk.url}/{MIX}">mix</a>', content_type="text/html"),
        )
        page.goto("http://elsewhere.example/")
        page.get_by_role("link", name="mix").click()
        page.wait_for_url(lambda url: url.startswith(desk.url) and "again" in url)
        DeskPage(page).wait_strips()
        assert page.evaluate("location.hash") in {MIX, ""}
        assert page.evaluate("document.cookie") == ""

        other = browser.new_context().new_page()
        other.goto(f"{desk.url}/?token={CANARY}")
        DeskPage(other).wait_strips()
        assert CANARY not in other.url
    assert CANARY not in desk.printed.read_text()
