"""The settings of the `up` of this user that runs on this machine, for programs that are given no URL.

It comes last: what is given counts first, then the environment and `.env`. If a URL is given that is not its own, it is
left out. Half of one installation does not fit half of another. If several run that fit, none is chosen.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from worker.errors import SettingsError
from worker.settings.environment import resolve, run_dirs

if TYPE_CHECKING:
    from worker.run_dir.announcement import Announcement

WAYS: Final = "given in the environment or in .env, or a `sampling-worker up` that runs on this machine"
"""How a URL is found, in words; the argument `url` of a client comes before these."""
_URLS: Final = ("REDIS_URL", "DATABASE_URL")
_RUN_DIR: Final = "WORKER_RUN_DIR"


class Found(NamedTuple):
    """What was found.

    Attributes:
        settings: Variable -> value; empty: no `up` runs that fits.
        hint: Why one that runs was left out; empty: none was.
    """

    settings: Mapping[str, str]
    hint: str


def with_up(
    values: Mapping[str, str],
    missing: Collection[str],
    sources: Sequence[Mapping[str, str]],
    environ: Mapping[str, str] | None,
) -> tuple[Mapping[str, str], str]:
    """Complete settings by those of the `up` that runs here, where a URL is missing.

    Args:
        values: Variable -> value, as given.
        missing: URLs that are needed and not given.
        sources: Where the values come from.
        environ: The environment; None: that of the process.

    Returns:
        The settings; and why an `up` that runs was left out, or nothing.

    Raises:
        SettingsError: Several run that fit.
    """
    if not missing:
        return values, ""
    urls, _ = resolve(_URLS, sources)
    found, hint = find_up({**urls, **values}, environ)
    known = {name: value for name, value in found.items() if name in missing or name not in _URLS}
    return {**known, **values}, hint


def find_up(given: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Found:
    """Find the `up` that runs here and fits the URLs that are given.

    Args:
        given: Variable -> value, as far as they are given: both URLs, and `WORKER_RUN_DIR`.
        environ: The environment, which names the folders to look in; None: that of the process.

    Raises:
        SettingsError: Several run that fit.
    """
    folders = [Path(given[_RUN_DIR])] if given.get(_RUN_DIR) else run_dirs(environ)
    from worker.run_dir.announcement import list_announced  # noqa: PLC0415 - where nothing is given, here alone

    running = list_announced(folders)
    fitting = [one for one in running if all(one.settings.get(url) == given[url] for url in _URLS if url in given)]
    if len(fitting) > 1:
        raise SettingsError(several(fitting))
    if fitting:
        return Found(fitting[0].settings, "")
    return Found({}, _left_out(running[0], given) if running else "")


def several(running: list["Announcement"]) -> str:
    """Write the sentence about several that run."""
    folders = " and in ".join(one.data for one in running)
    return (
        f"{len(running)} `sampling-worker up` run on this machine, with data in {folders}; accepted: one of them by "
        'its variables, as eval "$(sampling-worker env --data DIR)" sets them'
    )


def _left_out(one: "Announcement", given: Mapping[str, str]) -> str:
    others = " and ".join(url for url in _URLS if url in given and one.settings.get(url) != given[url])
    return f"a `sampling-worker up` runs with data in {one.data}, and {others} names another server than its own"
