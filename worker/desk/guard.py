"""The first check of each request: was it made by a page of this desk? And the headers of each answer."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.core.wire import shown
from worker.desk.answers import refuse
from worker.desk.headers import HEADERS
from worker.desk.hosts import Hosts, is_same_origin
from worker.errors import DeskError

_SAFE: Final = ("GET", "HEAD")
_OWN_SITES: Final = ("same-origin", "none")
_ENTRANCES: Final = ("/", "/login")


class Guard:
    """Refuses requests that pages of others have made.

    Args:
        app: Answers the others.
        hosts: The hosts by which the desk may be asked.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        error = self._find_problem(Request(scope))
        await (self._app if error is None else refuse(error))(scope, receive, send_guarded)

    def _find_problem(self, request: Request) -> DeskError | None:
        """Return why a request is refused; None: it is not."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._hosts.accept(host):
            names = ", ".join(self._hosts.names)
            accepted = f"{names}, and names that `desk --allow-host NAME` adds"
            return _refusal("wrong_host", f"the desk is not asked by the name {shown(host.encode())}", accepted)
        if origin is not None and not is_same_origin(origin, host):
            who = f"a page of {shown(origin.encode())} asks, and the host is {shown(host.encode())}"
            return _refusal("cross_site", who, "pages of the desk itself; a proxy has to pass the Host on")
        if request.headers.get("sec-fetch-site", "none") not in _OWN_SITES and not _is_link(request):
            return _refusal("cross_site", "a page of another site asks", "pages of the desk itself")
        if request.method not in _SAFE and origin is None and "authorization" not in request.headers:
            return _refusal("cross_site", "the request has no Origin", f"Origin: http://{host}, as browsers send it")
        return None


def _is_link(request: Request) -> bool:
    """Return whether somebody follows a link to the desk."""
    is_followed = request.headers.get("sec-fetch-mode") == "navigate"
    return is_followed and request.method in _SAFE and request.url.path in _ENTRANCES


def _refusal(code: str, what: str, accepted: str) -> DeskError:
    return DeskError(HTTPStatus.FORBIDDEN, code, f"{what}; accepted: {accepted}")
