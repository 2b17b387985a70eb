"""Find the files below a folder.

Links are followed, and each real folder is walked once: first all that lies below the folder itself, then what links
lead to, in the order of their names. So a loop of links ends. A link to a file that is found by itself is left out.
Names come in the order of their characters, and nothing is opened.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from worker.core.catalog.scan import is_audio, kind_of

SPECIAL, BROKEN_LINK = "special file", "broken link"
_HIDDEN: Final = "."


@dataclass(slots=True)
class Walked:
    """What was found below a folder; paths are relative to it, with / between their parts.

    Attributes:
        audio: The audio files.
        others: Number of other files by the ends of their names; empty text: without one.
        hidden: Number of hidden files and folders, whose names begin with a dot.
        linked_again: Number of links to what is found by itself.
        unreadable: Folders that cannot be read, and why.
    """

    audio: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    linked_again: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


class Walk:
    """Walks below one folder."""

    def __init__(self, root: str, tell: Callable[[int], None]) -> None:
        """Set where to walk.

        Args:
            root: An absolute path without links.
            tell: Receives the number of audio files so far, once a folder. It may raise to end the walk.
        """
        self.found = Walked()
        self._prefix = f"{root.rstrip('/')}/"
        self._tell = tell
        self._seen: set[tuple[int, int]] = set()
        self._links: list[str] = []

    def folder(self, relative: str) -> None:
        """Walk one folder and all below it.

        Args:
            relative: Its path below the root; empty: the root itself.
        """
        waiting = [relative]
        while waiting or self._links:
            if not waiting:
                self._links.sort(reverse=True)
                waiting.append(self._links.pop())
            at = waiting.pop()
            folders = self._list(at)
            waiting += sorted(folders, reverse=True)
            self._tell(len(self.found.audio))

    def file(self, relative: str) -> None:
        """Take up one file, if it is an audio file that is not found elsewhere.

        Args:
            relative: Its path below the root. There may be nothing any more.
        """
        path = self._prefix + relative
        is_link = os.path.islink(path)  # noqa: PTH114 - paths are text here, and there are many of them
        if not is_audio(relative.rpartition("/")[2]) or (is_link and self._is_found_itself(path)):
            return
        if os.path.isfile(path) or (is_link and not os.path.exists(path)):  # noqa: PTH110, PTH113
            self.found.audio.append(relative)

    def _list(self, at: str) -> list[str]:
        """List one folder; return the folders in it."""
        path = self._prefix + at
        try:
            about = os.stat(path)  # noqa: PTH116 - paths are text here, and there are many of them
            key = (about.st_dev, about.st_ino)
            if key in self._seen:
                self.found.linked_again += 1
                return []
            self._seen.add(key)
            with os.scandir(path) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.found.unreadable.append((at, (error.strerror or str(error)).lower()))
            return []
        folders: list[str] = []
        for entry in listed:
            relative = f"{at}/{entry.name}" if at else entry.name
            if entry.name.startswith(_HIDDEN):
                self.found.hidden += 1
            elif self._is_folder(entry):
                (self._links if entry.is_symlink() else folders).append(relative)
            else:
                self._take(entry, relative)
        return folders

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.is_dir()
        except OSError:  # a link that leads to itself, or through a folder without rights
            return False

    def _take(self, entry: os.DirEntry[str], relative: str) -> None:
        """Take up what is no folder."""
        is_link, is_wanted = entry.is_symlink(), is_audio(entry.name)
        if not _is_file(entry):
            if is_link and is_wanted and not os.path.exists(entry.path):  # noqa: PTH110 - as above
                self.found.audio.append(relative)  # its reason is found where it is opened
            else:
                self.found.others[BROKEN_LINK if is_link else SPECIAL] += 1
        elif not is_wanted:
            self.found.others[kind_of(entry.name)] += 1
        elif is_link and self._is_found_itself(entry.path):
            self.found.linked_again += 1
        else:
            self.found.audio.append(relative)

    def _is_found_itself(self, path: str) -> bool:
        """Return whether a link leads to an audio file that the walk finds without it."""
        target = os.path.realpath(path)
        if not target.startswith(self._prefix):
            return False
        parts = target[len(self._prefix) :].split("/")
        return is_audio(parts[-1]) and not any(part.startswith(_HIDDEN) for part in parts)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
