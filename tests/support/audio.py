"""Audio files that tests make: short, quiet, and of each kind; and ones that are broken."""

import struct
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
_FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aiff": ("AIFF", "PCM_16"),
}


@cache
def audio_bytes(kind: str, seconds: float) -> bytes:
    """Make a file of noise."""
    if kind == ".m4a":
        return _mpeg4(seconds)
    noise = np.random.default_rng(1).standard_normal(round(seconds * RATE)) * 0.1
    file, (format_, subtype) = BytesIO(), _FORMATS[kind]
    soundfile.write(file, noise.astype(np.float32), RATE, format=format_, subtype=subtype)
    return file.getvalue()


def write_audio(path: Path, seconds: float = 0.25) -> Path:
    """Write a file of noise, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(audio_bytes(path.suffix.lower(), seconds))
    return path


def write_long_wav(path: Path, hours: float) -> Path:
    """Write the header of a long wav, and behind it a hole."""
    size = round(hours * 3600 * 16000) * 2
    header = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16) + b"data" + struct.pack("<I", size)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)
    return path


def without_xing(mp3: bytes) -> bytes:
    """Cut off the first frame of an mp3, which says how long it is."""
    assert b"Xing" in mp3[:300] or b"Info" in mp3[:300]
    return mp3[mp3.index(mp3[:2], 2) :]


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _mpeg4(seconds: float) -> bytes:
    """Write the boxes of an m4a that say how long it is; there is no sound in it."""
    decoder = bytes([0x04, 15, 0x40, 0x15, 0, 0, 0]) + struct.pack(">II", 64000, 64000) + bytes([0x05, 2, 0x15, 0x88])
    esds = _box(b"esds", bytes(4), bytes([0x03, 3 + len(decoder), 0, 0, 0]), decoder)
    sample = bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHHHI", 1, 16, 0, 0, RATE << 16)
    described = _box(b"stsd", struct.pack(">II", 0, 1), _box(b"mp4a", sample, esds))
    timed = _box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, RATE, round(seconds * RATE), 0))
    track = _box(b"trak", _box(b"mdia", timed, _box(b"minf", _box(b"stbl", described))))
    header = _box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, round(seconds * 1000)), bytes(80))
    return _box(b"ftyp", b"M4A \0\0\0\0M4A mp42isom") + _box(b"moov", header, track) + _box(b"mdat", bytes(64))
