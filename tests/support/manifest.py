"""A real manifest where the machine has one, and one like it elsewhere."""

import random
from pathlib import Path

_REAL = Path(__file__).parents[2] / "../shared/data/audioset-chunks.csv"
_ROWS = 22_160
_SHARES = {"music": 0.4, "voice": 0.3, "custom": 0.2, "documentary": 0.07, "conference": 0.03}


def audioset_manifest(folder: Path) -> Path:
    """Find the manifest of AudioSet's chunks, or make one of its shape in `folder`."""
    if _REAL.exists():
        return _REAL
    chance = random.Random(22_160)
    categories = chance.choices(list(_SHARES), list(_SHARES.values()), k=_ROWS)
    lines = [f"audioset/{number:011x}_30.flac,{name},READY,10.0" for number, name in enumerate(categories)]
    made = folder / "audioset-chunks.csv"
    made.write_text("\n".join(["path,category,status,duration_s", *lines, ""]), encoding="utf-8")
    return made
