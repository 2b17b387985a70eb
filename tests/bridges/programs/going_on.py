"""A training that reads by one library: its mix is moved, it goes on from a state, and without one.

    python going_on.py LIBRARY URL PREFIX

It writes what was heard in each of these, or the sentence of an error. Chunks are written as the number in their path.
"""

import gc
import json
import os
import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from torchdata.stateful_dataloader import StatefulDataLoader

from worker.client import Sample, SampleClient
from worker.client.torch import ChunkIdStream

Batch = tuple[list[int], str]
"""Numbers of the chunks, as what the library has read says them; and the version of the weights."""

SIZE, BATCHES = 10, 12
LEFT_AT = 5
RUN: dict[str, Any] = {"name": "run", "session": "run", "method": "epoch"}


@cache
def table() -> Any:
    import lancedb

    return lancedb.connect("data").open_table("clips")


def rows_of(sample: Sample) -> Batch:
    """Take the rows of a LanceDB table, and check them against the draw."""
    offsets = [int(path or "") for path in sample.paths or ()]
    rows = table().__getitems__(offsets)
    assert rows["category"].to_pylist() == sample.categories
    read = [int(feature // 10) for feature, _ in rows["features"].to_pylist()]
    assert read == offsets
    return read, sample.weights_version


@cache
def cuts() -> Any:
    """Return the cuts by the source of their recording and their start."""
    from lhotse import CutSet

    return {(cut.recording.sources[0].source, cut.start): cut for cut in CutSet.from_file("cuts.jsonl.gz")}


@cache
def speech() -> Any:
    from lhotse.dataset import K2SpeechRecognitionDataset
    from lhotse.dataset.input_strategies import AudioSamples

    return K2SpeechRecognitionDataset(input_strategy=AudioSamples())


def speech_of(sample: Sample) -> Batch:
    """Read the audio and the texts of Lhotse's cuts, and check their categories against the draw."""
    from lhotse import CutSet

    places = zip(sample.paths or (), sample.starts_s or (), strict=True)
    batch = speech()[CutSet.from_cuts(cuts()[place] for place in places)]
    assert len(batch["inputs"]) == SIZE
    told = [text.split() for text in batch["supervisions"]["text"]]
    assert sorted(name for name, _ in told) == sorted(sample.categories or ())
    return [int(number) for _, number in told], sample.weights_version


LIBRARIES: dict[str, Callable[[Sample], Batch]] = {"lancedb": rows_of, "lhotse": speech_of}


class Job:
    """Trainings that read by one library."""

    def __init__(self, library: str, client: SampleClient) -> None:
        self._load, self._client = LIBRARIES[library], client

    def loader(self, workers: int, *, batches: int = BATCHES, **options: Any) -> Any:
        """Make a loader."""
        gc.collect()  # an iterator that was left, and is collected in a worker of another loader, writes an error there
        options |= {"columns": ("category", "path", "start_s"), "client": self._client}
        stream = ChunkIdStream(SIZE, batches=batches, **options)
        return StatefulDataLoader(stream, batch_size=None, collate_fn=self._load, num_workers=workers)

    def move(self) -> dict[str, Any]:
        """Move the mix in the middle of an iteration."""
        heard, version = [], None
        for step, batch in enumerate(self.loader(1, batches=40)):
            heard.append(batch)
            if step == LEFT_AT:
                version = self._client.set_weights({"music": 1}, wait=False).version
        self._client.set_weights({"music": 1, "voice": 1}, wait=False)
        return {"heard": heard, "version": version}

    def leave(self, workers: int) -> tuple[list[int], Any]:
        """Begin an iteration, and leave it; returns what was heard, and the state."""
        loader = self.loader(workers, **RUN)
        iteration = iter(loader)
        heard = [number for _ in range(LEFT_AT) for number in next(iteration)[0]]
        return heard, loader.state_dict()

    def go_on(self, workers: int, state: Any = None) -> Any:
        """Go on to the end of an iteration; returns what was heard, or the sentence of the error."""
        loader = self.loader(workers, **RUN)
        if state is not None:
            loader.load_state_dict(state)
        try:
            return [number for numbers, _ in loader for number in numbers]
        except (AssertionError, ValueError) as error:
            return str(error)


def main(library: str, url: str, prefix: str) -> None:
    """Go through all of it, and write what was heard."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "'set_vital' is deprecated")  # torchdata calls what torch says is deprecated
    job = Job(library, SampleClient(url, prefix=prefix, timeout_s=60))
    found: dict[str, Any] = {"moved": job.move()}
    heard, state = job.leave(2)
    found["workers"] = job.go_on(1, state)
    found["no workers"] = job.go_on(0, state)
    os.environ |= {"RANK": "0", "WORLD_SIZE": "2"}
    found["ranks"] = job.go_on(2, state)
    del os.environ["RANK"], os.environ["WORLD_SIZE"]
    found["whole"] = heard + job.go_on(2, state)
    found["anew"] = job.go_on(0)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
