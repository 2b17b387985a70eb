"""What the desk answers, path by path."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from worker.desk.answers import refuse_bug, refuse_error, refuse_path
from worker.desk.changes import Changes
from worker.desk.context import Context
from worker.desk.files import LOGIN, read_files
from worker.desk.guard import Guard
from worker.desk.hosts import Hosts
from worker.desk.hub import Hub
from worker.desk.login import Login
from worker.desk.looks import Looks
from worker.desk.previews import Previews
from worker.desk.streams import Streams
from worker.desk.tokens import Token
from worker.errors import SamplingError


def build_app(context: Context, hub: Hub, hosts: Hosts, token: Token | None) -> ASGIApp:
    """Put the desk together.

    Args:
        context: Where it looks and writes.
        hub: What all browsers share.
        hosts: The hosts by which it may be asked.
        token: What browsers have to give; None: nothing.
    """
    page = read_files()
    routes = [
        Route("/", page.answer_index),
        Route("/static/{name}", page.answer_file),
        *Looks(context, hub).routes,
        *Streams(hub).routes,
        *Previews(hub).routes,
        *Changes(context, hub).routes,
    ]
    handlers = {SamplingError: refuse_error, HTTPException: refuse_path, Exception: refuse_bug}
    answering: ASGIApp = Starlette(routes=routes, exception_handlers=handlers)
    if token is not None:
        answering = Login(answering, token, page.content(LOGIN))
    return Guard(answering, hosts)
