"""The steps of an `up` in order: the folder, the servers, the schema, the library, the worker, and the end of all.

Everything is ended in the opposite order, whatever ends it. The `up` is announced as soon as its servers can be used.
So other commands find it while the library is still brought in. A library that is known already is served first.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.adapters.postgres.counts import ChunkCount, count_chunks
from worker.adapters.postgres.migrate import migrate
from worker.embedded.desk_child import DeskChild
from worker.errors import DependencyError, SettingsError
from worker.run_dir.announcement import Announcement, announcement_path, write_announcement
from worker.run_dir.ending import Ending
from worker.run_dir.folder import prepare_run_dir
from worker.run_dir.health import SERVING
from worker.run_dir.processes import process_start
from worker.settings.environment import environment_with
from worker.settings.for_up import read_given
from worker.settings.names import DESK_TOKEN, VARIABLES
from worker.up.folder import DataFolder, default_data
from worker.up.processes import Worker, run_verb
from worker.up.screen import Screen, Shown
from worker.up.servers import Ports, Servers
from worker.up.watching import Watch

_OWN_FILES: Final = 0o077
_POLL_S, _LOOK_S = 0.05, 1.0
_SAY_AFTER_S: Final = 1.0
_PATIENCE_S: Final = 120.0
_LITTLE_ROOM: Final = 64 << 20
_NOT_SHARED: Final = ("WORKER_CONSUMER", "LOG_LEVEL", "LOG_FORMAT", DESK_TOKEN)
_COLUMNS: Final = ("WORKER_CATALOG_COLUMNS", "duration_s,start_s,path")
_MOST_WITH_COLUMNS: Final = 1_000_000
_READY, _QUERY = "READY", "WORKER_CHUNKS_QUERY"
_SLOW_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        bring_in: The verb that brings the library in, with its arguments; empty: what is there already is served.
        data: The data folder; None: that of this user.
        ports: Ports of the embedded servers.
        has_desk: Whether a desk runs as well, opened in a browser.
    """

    bring_in: Sequence[str]
    data: Path | None
    ports: Ports
    has_desk: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """What all steps share."""

    wanted: Wanted
    screen: Screen
    folder: DataFolder
    given: Mapping[str, str]
    began: float

    @property
    def run_dir(self) -> Path:
        return Path(self.given["WORKER_RUN_DIR"])


def run_up(wanted: Wanted, screen: Screen) -> int:
    """Run everything until a signal comes.

    Args:
        wanted: What is asked for.
        screen: Where it is shown.

    Returns:
        The exit status: 0 ended in order, or it runs already; else that of what could not bring the library in.

    Raises:
        SettingsError: A setting, the data folder or a program cannot be used.
        DependencyError: A server or the worker does not run.
    """
    began = time.time()
    given = read_given()
    os.umask(_OWN_FILES)
    folder = DataFolder(wanted.data or default_data())
    with Ending() as ending, ExitStack() as opened:
        try:
            lock = _take(folder, screen, ending)
            if isinstance(lock, Announcement):
                screen.show_running(lock)
                return 0
            opened.callback(os.close, lock)
            return _run(_Place(wanted, screen, folder, given, began), lock, ending, opened)
        except KeyboardInterrupt:
            screen.clear_status()
            screen.say("ending, in order")
    screen.say("ended; the next `up` goes on from here")
    return 0


def _take(folder: DataFolder, screen: Screen, ending: Ending) -> int | Announcement:
    """Take the folder for this process; return its lock, or the `up` that runs in it.

    Raises:
        DependencyError: Another one starts or ends in it for too long.
    """
    began, is_said = time.monotonic(), False
    while (lock := folder.try_lock()) is None:
        if running := folder.running:
            return running
        starter, waited_s = folder.starter(), time.monotonic() - began
        who = f"another `up` (process {starter})" if starter else "what a killed `up` has left"
        if waited_s > _PATIENCE_S:
            raise DependencyError(
                f"{who} is still busy in {folder.path}; accepted: to wait, or to end the processes that "
                f"`fuser {folder.path}/lock` lists"
            )
        if waited_s > _SAY_AFTER_S and not is_said:
            is_said = True
            screen.say(f"waiting for {who}, which is busy in {folder.path}")
        ending.wait(_POLL_S)
    return lock


def _run(place: _Place, lock: int, ending: Ending, opened: ExitStack) -> int:
    """Start everything, and keep it running until a signal comes, or until the library cannot be brought in."""
    servers = Servers(place.folder, place.screen, place.wanted.ports, place.given)
    if not servers.are_given:
        place.folder.check_room()
    servers.start(lock, opened)
    ending.check()
    settings = {**place.given, **servers.urls}
    counts = _migrate(place, settings)
    watch = opened.enter_context(Watch(settings["REDIS_URL"], settings["WORKER_PREFIX"]))
    prepare_run_dir(place.run_dir)
    opened.callback(_withdraw, place)
    _announce(place, settings)
    ending.check()
    was_known = bool(counts)
    if place.wanted.bring_in and not was_known:
        if status := _bring_in(place, settings, ending, servers.start_again):
            return status
        counts = asyncio.run(count_chunks(settings["DATABASE_URL"]))
    settings |= _columns(settings, counts)
    announcement = _announce(place, settings)
    worker = Worker(settings, place.run_dir, place.folder.log, place.screen)
    ending.hurry = worker.hurry
    opened.callback(worker.stop)
    worker.start()

    def keep() -> None:
        servers.start_again()
        worker.start_again()
        _announce_again(place, announcement)

    _wait_until_serving(worker, place, ending, keep)
    took_s, shares = time.time() - place.began, watch.look().shares
    place.screen.show_ready(Shown(announcement, took_s, _ready(counts), _QUERY in settings, shares))
    desk = _start_desk(place, settings, opened)
    if place.wanted.bring_in and was_known and (status := _bring_in(place, settings, ending, keep)):
        return status
    _keep_until_signal(place, ending, watch, [keep, *desk])
    return 0


def _start_desk(place: _Place, settings: Mapping[str, str], opened: ExitStack) -> list[Callable[[], None]]:
    """Start a desk if one is wanted; return what has to be called while it runs."""
    if not place.wanted.has_desk:
        return []
    desk = DeskChild(environment_with(settings), place.folder.log.with_name("desk.log"))
    opened.callback(desk.stop)

    def tell() -> None:
        if news := desk.news():
            place.screen.say(news)

    return [tell]


def _migrate(place: _Place, settings: Mapping[str, str]) -> list[ChunkCount]:
    """Bring the schema up to date, and count the chunks that are known."""
    url = settings["DATABASE_URL"]
    applied = asyncio.run(migrate(url))
    if applied and "DATABASE_URL" in place.given:
        place.screen.say(f"the schema in DATABASE_URL was brought up to date: {', '.join(applied)}")
    return asyncio.run(count_chunks(url))


def _ready(counts: Sequence[ChunkCount]) -> dict[str, int]:
    """Count the READY chunks of each category, over all splits."""
    found: Counter[str] = Counter()
    for count in counts:
        if count.status == _READY:
            found[count.category] += count.count
    return dict(found)


def _columns(settings: Mapping[str, str], counts: Sequence[ChunkCount]) -> dict[str, str]:
    """Let the worker hold columns, where the library is small and nobody has chosen."""
    name, columns = _COLUMNS
    is_small = sum(count.count for count in counts) < _MOST_WITH_COLUMNS
    is_open = name in VARIABLES and name not in settings and _QUERY not in settings
    return {name: columns} if is_small and is_open else {}


def _announce(place: _Place, settings: Mapping[str, str]) -> Announcement:
    """Let clients and commands of this user find the servers, and another `up` this one.

    Raises:
        DependencyError: The file cannot be written.
    """
    shared = {name: value for name, value in settings.items() if name not in _NOT_SHARED}
    pid, folder = os.getpid(), place.folder
    made = Announcement(pid, process_start(pid), place.began, str(folder.path), str(folder.log), shared)
    try:
        for path in (folder.announcement, announcement_path(place.run_dir, folder.path)):
            write_announcement(path, made)
    except OSError as error:
        raise DependencyError(f"what leads to the servers cannot be written: {error}") from error
    return made


def _announce_again(place: _Place, announcement: Announcement) -> None:
    """Announce it again where what cleans temporary folders has removed the file."""
    path = announcement_path(place.run_dir, place.folder.path)
    if not path.exists():
        with suppress(OSError, SettingsError):  # it is tried again in a moment
            prepare_run_dir(place.run_dir)
            write_announcement(path, announcement)


def _withdraw(place: _Place) -> None:
    for path in (announcement_path(place.run_dir, place.folder.path), place.folder.announcement):
        path.unlink(missing_ok=True)


def _bring_in(place: _Place, settings: Mapping[str, str], ending: Ending, meanwhile: Callable[[], None]) -> int:
    """Bring the library in by the verb that does so; return its exit status."""
    status = run_verb(place.wanted.bring_in, settings, ending, meanwhile)
    if status:
        place.screen.warn("the library was not brought in, so `up` ends; what is wrong is said above")
    return status


def _wait_until_serving(worker: Worker, place: _Place, ending: Ending, keep: Callable[[], None]) -> None:
    """Wait until the worker serves, however long that takes, and say what it waits for."""
    began, is_said = time.monotonic(), False
    while (health := worker.health) is None or health.state != SERVING:
        if time.monotonic() - began > _SLOW_S and not is_said:
            is_said = True
            state = health.state if health else "starting"
            place.screen.warn(f"the worker is still {state}; its log is {place.folder.log}")
        keep()
        ending.wait(_POLL_S)


def _keep_until_signal(place: _Place, ending: Ending, watch: Watch, keep: Sequence[Callable[[], None]]) -> None:
    """Keep everything running and show how it stands; a signal ends this by KeyboardInterrupt."""
    was_full = False
    while True:
        for step in keep:
            step()
        is_full = place.folder.free_bytes() < _LITTLE_ROOM
        if is_full and not was_full:
            place.screen.warn(f"less than {_LITTLE_ROOM >> 20} MiB are free on the disk of {place.folder.path}")
        was_full = is_full
        if place.screen.wants_status:
            place.screen.show_status(watch.look())
        ending.wait(_LOOK_S)
