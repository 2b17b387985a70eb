"""The length of an audio file, by its header alone, or what is wrong with it. No other module uses audio libraries.

Eight libraries were compared on one core, on 1,000 files of 3 s of each format. They also read 38 broken files. In
files a second, soundfile (libsndfile) read 15,500 wav, 12,400 flac, 9,800 mp3, 8,300 opus and 2,000 vorbis. mutagen
read 5,100, 5,700, 2,900, 6,300 and 6,700; tinytag 43,700, 20,300, 12,700, 5,300 and 7,500; PyAV 200 to 3,700. Pytaglib,
miniaudio, sphn and pymediainfo read fewer formats or say less.

soundfile judges all that it reads. It is quick enough, and it tells a file of zeros, text or noise from audio. Its
verdict is that of the training loop, which reads by it. A wav file may have been cut, or written by a stream without
its length. Of the quick libraries, soundfile alone then gives the seconds that are there (others: 3 s of 1.5, or
134,217 s).

tinytag does two things that soundfile does not. It reads m4a (14,200 a second; mutagen 3,100). It also gives the length
of an mp3 of variable rate without a Xing header. libsndfile takes such an mp3 for one of constant rate. tinytag says
less about broken files, so soundfile is asked first where both can read a file.

No header shows that a flac, m4a or mp3 with a Xing header was cut: it keeps the length that is written in it.
"""

import os
from collections.abc import Sequence
from typing import Final

import soundfile
import tinytag

from worker.core.catalog.scan import Measured, kind_of

_MPEG4: Final = frozenset({".m4a", ".m4b"})
_MPEG3: Final = ".mp3"
_MOST_FRAMES: Final = 1 << 60  # more stands for a length that is not known
_TELLING_SHARE, _TELLING_S = 0.05, 0.2
_LONGEST_REASON: Final = 200


def measure_all(paths: Sequence[str]) -> list[Measured]:
    """Measure some files.

    Args:
        paths: Where they are.
    """
    return [measure(path) for path in paths]


def measure(path: str) -> Measured:
    """Return how long a file is; whatever is wrong with it is no more than its reason.

    Args:
        path: Where it is; a file whose name ends as one of `worker.core.catalog.scan.AUDIO_SUFFIXES`.
    """
    try:
        seconds = _seconds(path)
    except Exception as error:  # noqa: BLE001 - of a broken file a library may raise anything, and that is what is wrong
        return _refused(path, error)
    return Measured(seconds) if seconds > 0 else _refused(path, ValueError("it holds no audio"))


def _seconds(path: str) -> float:
    kind = kind_of(path.rpartition("/")[2])
    if kind in _MPEG4:
        return _tag_seconds(path)
    with soundfile.SoundFile(path) as file:
        if file.frames > _MOST_FRAMES:
            raise ValueError("its length is not known")
        seconds = float(file.frames / file.samplerate)
    if kind == _MPEG3:
        counted = _tag_seconds(path)
        if abs(counted - seconds) > max(_TELLING_S, _TELLING_SHARE * seconds):
            return counted
    return seconds


def _tag_seconds(path: str) -> float:
    return float(tinytag.TinyTag.get(path, tags=False).duration or 0)


def _refused(path: str, error: Exception) -> Measured:
    """Find the reason why a file cannot be read."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path is text here, and there are many of them
            is_empty = not file.read(1)
    except FileNotFoundError:
        return Measured(None, "the link leads nowhere") if os.path.islink(path) else Measured(None)  # noqa: PTH114
    except OSError as refusal:
        return Measured(None, (refusal.strerror or str(refusal)).lower())
    if is_empty:
        return Measured(None, "it is empty: 0 bytes")
    said = (getattr(error, "error_string", "") or str(error) or type(error).__name__).strip().rstrip(".")
    return Measured(None, said.replace("\n", " ")[:_LONGEST_REASON])
