"""What `desk` does."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from worker.cli.printing import print_text
from worker.errors import SettingsError
from worker.settings.for_desk import read_desk_settings

_NEEDED = ("starlette", "uvicorn")


def run_desk(
    host: str, port: int | None, token_file: Path | None, *, allowed: Sequence[str], read_only: bool, open_: bool
) -> None:
    """Serve the desk until a signal comes.

    Args:
        host: What it listens on.
        port: The port; 0: a free one; None: that of the desk, or a free one where that is taken.
        token_file: The file of the token; None: the setting counts.
        allowed: Further names by which it may be asked.
        read_only: Whether changes are refused.
        open_: Whether it is opened in a browser.

    Raises:
        SettingsError: The extra is not installed, or something given cannot be used.
    """
    if missing := [name for name in _NEEDED if not importlib.util.find_spec(name)]:
        raise SettingsError(f"there is no {missing[0]} to serve with: pip install 'sampling-worker[desk]'")
    settings = read_desk_settings(token_file)
    from worker.desk.serving import Wanted, serve_desk  # noqa: PLC0415 - the extra is installed

    serve_desk(Wanted(host, port, allowed, read_only, open_), settings, print_text)
