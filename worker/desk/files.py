"""The files of the page, read once: what is asked for is looked up by its name, so no path leads elsewhere."""

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from worker.desk.headers import NOT_KEPT
from worker.errors import DeskError

_TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "ico": "image/x-icon",
    "js": "text/javascript",
    "png": "image/png",
    "svg": "image/svg+xml",
}
_ASK_AGAIN: Final = {"Cache-Control": "no-cache"}  # a browser asks whether its copy is the newest
_TAG_DIGITS: Final = 16
INDEX: Final = "index.html"
LOGIN: Final = "login.html"


class File(NamedTuple):
    """A file of the page.

    Attributes:
        content: What it holds.
        kind: Its media type.
        tag: Its version.
    """

    content: bytes
    kind: str
    tag: str


class Files:
    """The files of the page.

    Args:
        found: Name -> file.
    """

    def __init__(self, found: Mapping[str, File]) -> None:
        self._found = found

    def content(self, name: str) -> bytes:
        """Return what a file holds."""
        return self._found[name].content

    async def answer_index(self, _: Request) -> Response:
        """Answer with the page itself."""
        return Response(self.content(INDEX), HTTPStatus.OK, NOT_KEPT, _TYPES["html"])

    async def answer_file(self, request: Request) -> Response:
        """Answer with a file."""
        file = self._found.get(request.path_params["name"])
        if file is None:
            raise DeskError(
                HTTPStatus.NOT_FOUND, "not_found", "there is no such file; accepted: those that the page names"
            )
        headers = {**_ASK_AGAIN, "ETag": file.tag}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(b"", HTTPStatus.NOT_MODIFIED, headers)
        return Response(file.content, HTTPStatus.OK, headers, file.kind)


def read_files() -> Files:
    """Read the files of the page out of the package."""
    found: dict[str, File] = {}
    for path in files("worker.desk").joinpath("page").iterdir():
        if (kind := _TYPES.get(path.name.rpartition(".")[2])) is not None:
            content = path.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:_TAG_DIGITS]
            found[path.name] = File(content, kind, f'"{tag}"')
    return Files(found)
