"""Sounds of learning.py: each has one of eight pitches, which a network has to hear; five categories, easy to hard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE: Final = 4000
LENGTH: Final = 1000  # of a sound, in samples
PITCHES: Final = np.geomspace(250.0, 900.0, 8)
WINDOW: Final = 128

Tone = Callable[[Floats, float, np.random.Generator], Floats]


def _plain(times: Floats, pitch: float, _: np.random.Generator) -> Floats:
    return np.sin(2 * np.pi * pitch * times)


def _glide(times: Floats, pitch: float, _: np.random.Generator) -> Floats:
    """Make a tone that rises to one and a half times its first pitch; the first one counts."""
    gone: Floats = times + 0.25 * times**2 / LENGTH * RATE
    return np.sin(2 * np.pi * pitch * gone)


def _two(times: Floats, pitch: float, chance: np.random.Generator) -> Floats:
    """Make two tones that sound together; the lower one is the pitch."""
    higher = pitch * chance.uniform(1.15, 2.0)
    return 0.7 * (np.sin(2 * np.pi * pitch * times) + np.sin(2 * np.pi * higher * times + 1.0))


KINDS: Final[dict[str, tuple[Tone, float]]] = {
    "clean": (_plain, 0.5),
    "noisy": (_plain, 3.0),
    "gliding": (_glide, 2.0),
    "double": (_two, 2.0),
    "drowned": (_plain, 4.5),
}
"""Category -> how it sounds, and how loud its noise is beside it."""


def write_sounds(folder: Path, each: int, seed: int) -> None:
    """Write so many sounds of each category, as short WAV files in a folder for each."""
    chance, times = np.random.default_rng(seed), np.arange(LENGTH) / RATE
    for category, (tone, loud) in KINDS.items():
        (folder / category).mkdir(parents=True)
        for number in range(each):
            place = int(chance.integers(len(PITCHES)))
            sound = tone(times, float(PITCHES[place]) * chance.uniform(0.96, 1.04), chance)
            sound += loud * chance.standard_normal(LENGTH)
            path = folder / category / f"{number:04}-{place}.wav"
            soundfile.write(path, (sound / (4 * (1 + loud))).astype(np.float32), RATE, subtype="PCM_16")


class Shelf:
    """A reader of sounds from files, which keeps the inputs of a network."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._window = torch.hann_window(WINDOW)

    def read(self, paths: list[str]) -> tuple[Any, Any]:
        """Return spectra, shape (sounds, features), and pitches, shape (sounds,)."""
        spectra = torch.stack([self._spectrum(path) for path in paths])
        return spectra, torch.tensor([int(Path(path).stem.partition("-")[2]) for path in paths])

    def _spectrum(self, path: str) -> Any:
        if path not in self._kept:
            sound = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
            found = torch.stft(sound, WINDOW, hop_length=WINDOW // 2, window=self._window, return_complex=True)
            whole = torch.log1p(10 * found.abs()).flatten()
            self._kept[path] = (whole - whole.mean()) / whole.std()
        return self._kept[path]
