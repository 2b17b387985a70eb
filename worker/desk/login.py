"""The second check of each request: who asks? A browser gives the token once, and has a cookie afterwards."""

from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from worker.desk.answers import refuse
from worker.desk.bodies import read_bytes
from worker.desk.headers import NOT_KEPT
from worker.desk.tokens import Token
from worker.errors import DeskError

_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_FORM: Final = 8192
_BEARER: Final = "bearer "
_WRONG: Final = b"That is not the token of this desk."
_PLACE: Final = b"<!-- problem -->"


class Login:
    """Lets those pass who have the token. Files of the page are open to all: everybody can install them.

    Args:
        app: Answers those who pass.
        token: What has to be given.
        form: The page that asks for it.
    """

    def __init__(self, app: ASGIApp, token: Token, form: bytes) -> None:
        self._app = app
        self._token = token
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        app = await self._ask(request)
        await app(scope, receive, send)

    async def _ask(self, request: Request) -> ASGIApp:
        """Return what answers a request."""
        path = request.url.path
        if path == "/login" and request.method == "POST":
            return await self._take_form(request)
        if path == "/" and "token" in request.query_params:
            return self._let_in(request, request.query_params["token"])
        if path.startswith("/static/") or self._is_known(request):
            return self._app
        if path in {"/", "/login"}:
            return self._show_form()
        accepted = "the cookie of a login on the page, or `Authorization: Bearer TOKEN`"
        return refuse(DeskError(HTTPStatus.UNAUTHORIZED, "no_token", f"the token is missing or wrong; {accepted}"))

    async def _take_form(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return refuse(DeskError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no_form", f"accepted: the type {_FORM}"))
        try:
            body = await read_bytes(request, _LONGEST_FORM)
        except DeskError as error:
            return refuse(error)
        fields = parse_qs(body.decode(errors="replace"), max_num_fields=8)
        return self._let_in(request, fields.get("token", [""])[0])

    def _let_in(self, request: Request, given: str) -> Response:
        """Set the cookie for a caller that gives the token, and redirect to an address without it."""
        if not self._token.is_given(given):
            return self._show_form(_WRONG)
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER, NOT_KEPT)
        is_https = request.headers.get("origin", "").startswith("https:") or (
            request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
        )
        response.set_cookie(
            self._token.cookie_name, self._token.cookie, httponly=True, samesite="strict", secure=is_https
        )
        return response

    def _is_known(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        if given.lower().startswith(_BEARER):
            return self._token.is_given(given[len(_BEARER) :].strip())
        return self._token.is_cookie(request.cookies.get(self._token.cookie_name, ""))

    def _show_form(self, problem: bytes = b"") -> Response:
        page = self._form.replace(_PLACE, problem)
        return Response(page, HTTPStatus.UNAUTHORIZED, NOT_KEPT, "text/html")
