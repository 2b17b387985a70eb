"""A manifest's bytes: from a file, a folder or standard input, compressed or not, in portions."""

import bz2
import itertools
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol

from worker.adapters.lookup_table import lookup_table
from worker.adapters.parquet_file import MAGIC, read_table
from worker.adapters.standard_input import standard_input
from worker.core.catalog.manifest import AS_IT_IS, Lookup, Manifest, Neighbours, NoNeighbours, ReadPairs, Table, Wishes
from worker.errors import ManifestError

STDIN: Final = "-"

_PORTION_BYTES = 262_144
_KALDI_LEADS = ("segments", "wav.scp")
_KALDI, _PARQUET = "kaldi", "parquet"
_PACKED_BYTES = 4096  # small, because it may unpack to several thousand times as much


class _Unpacker(Protocol):
    """Unpacks one stream of a compressed file, which may have several."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_UNPACKERS: dict[bytes, Callable[[], _Unpacker]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=16 + zlib.MAX_WBITS),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lzma.LZMADecompressor,
}


def manifest_name(path: Path) -> str:
    """Return what to call a manifest in a sentence."""
    return "standard input" if str(path) == STDIN else path.name


@contextmanager
def open_manifest(path: Path, wishes: Wishes = AS_IT_IS) -> Iterator[Manifest]:
    """Open a manifest for a block: a file, standard input, or a Kaldi folder.

    Args:
        path: A file, a folder, or `-` for standard input.
        wishes: What was asked for beside what it says.

    Raises:
        ManifestError: It cannot be read.
        SettingsError: It is a Parquet file, and the extra `parquet` is not installed.
    """
    name = manifest_name(path)
    is_folder = str(path) != STDIN and path.is_dir()
    if is_folder:
        lead = _kaldi_lead(path, wishes)
        name, path, wishes = f"{path.name}/{lead.name}", lead, replace(wishes, format=_KALDI)
    neighbours: Neighbours = NoNeighbours() if str(path) == STDIN else _Folder(path)
    portions = manifest_portions(path)
    first = next(portions, b"")
    content: Iterable[bytes] | Table = itertools.chain([first], portions)
    with ExitStack() as opened:
        if wishes.format == _PARQUET or (wishes.format is None and first.startswith(MAGIC)):
            content = read_table(name, opened.enter_context(_seekable(path, itertools.chain([first], portions))))
        manifest = Manifest(name, content, wishes, neighbours)
        if not is_folder and path.name == _KALDI_LEADS[1] and path.with_name(_KALDI_LEADS[0]).exists():
            manifest.notes.beside.append(_KALDI_LEADS[0])
        yield manifest


def _kaldi_lead(folder: Path, wishes: Wishes) -> Path:
    """Return the file of a Kaldi folder that has a line for each chunk.

    Raises:
        ManifestError: It is no Kaldi folder.
    """
    name = folder.name or str(folder)
    if wishes.format not in {None, _KALDI}:
        raise ManifestError(f"{name} is a folder; accepted for --format {wishes.format} is a file")
    for lead in _KALDI_LEADS:
        if (folder / lead).is_file():
            return folder / lead
    raise ManifestError(
        f"{name} is a folder without wav.scp; accepted are files, Kaldi folders; `catalog scan` reads audio"
    )


@dataclass(frozen=True, slots=True)
class _Folder:
    """The folder that a manifest is in."""

    path: Path

    @property
    def file(self) -> str:
        """Return the name of the manifest."""
        return self.path.name

    def look_up(self, name: str, read: ReadPairs) -> Lookup | None:
        """Read a file beside the manifest, and keep it on disk.

        Raises:
            ManifestError: It cannot be read, or has a key twice.
        """
        if Path(name).name != name:  # not in this folder
            return None
        beside = self.path.parent / name
        return lookup_table(name, read(name, manifest_portions(beside))) if beside.is_file() else None


@contextmanager
def _seekable(path: Path, portions: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """Open a file that can be read in any order: itself, or what standard input or a compressed file holds.

    Raises:
        ManifestError: It cannot be read.
    """
    with ExitStack() as opened:
        if str(path) != STDIN and path.is_file() and not _is_packed(path):
            yield opened.enter_context(path.open("rb"))
            return
        kept = opened.enter_context(tempfile.TemporaryFile())
        kept.writelines(portions)
        kept.seek(0)
        yield kept


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return _unpacker(file.read(_PACKED_BYTES)) is not None


def _unpacker(first: bytes) -> Callable[[], _Unpacker] | None:
    """Return what begins to unpack a file with these first bytes; None if it is not compressed."""
    return next((begin for magic, begin in _UNPACKERS.items() if first.startswith(magic)), None)


def manifest_portions(path: Path) -> Iterator[bytes]:
    """Read a manifest; gzip, bzip2 and xz are recognised by their first bytes.

    Args:
        path: A file, or `-` for standard input.

    Raises:
        ManifestError: It cannot be read, or its compressed content is damaged.
    """
    name = manifest_name(path)
    try:
        with ExitStack() as opened:
            file = standard_input("a manifest") if str(path) == STDIN else opened.enter_context(path.open("rb"))
            first = file.read(_PACKED_BYTES)
            begin = _unpacker(first)
            if begin is None:
                yield from itertools.chain([first], iter(partial(file.read, _PORTION_BYTES), b""))
            else:
                yield from _unpack(itertools.chain([first], iter(partial(file.read, _PACKED_BYTES), b"")), begin)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ManifestError(f"{name} is damaged: {error}") from error
    except OSError as error:
        # bzip2 reports damage by an OSError without a number.
        what = f"cannot be read: {error.strerror}" if error.errno else f"is damaged: {error}"
        raise ManifestError(f"{name} {what}") from error


def _unpack(blocks: Iterable[bytes], begin: Callable[[], _Unpacker]) -> Iterator[bytes]:
    """Unpack all streams, one after the other. The standard library's files skip what is no stream, and say nothing.

    Raises:
        EOFError: The last stream has no end.
        OSError: Something else stands there; or `zlib.error`, or `lzma.LZMAError`.
    """
    stream = begin()
    for block in blocks:
        left = block
        while left:
            if stream.eof:
                left = left.lstrip(b"\0")  # which may fill up a block
                stream = begin() if left else stream
            else:
                yield stream.decompress(left)
                left = stream.unused_data
    if not stream.eof:
        raise EOFError("its end is missing")
