"""Lhotse: draws become batches of cuts, or its samplers make batches of cuts that come as they are drawn."""

import re
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bridges.conftest import RunPrinted, Serve
from tests.bridges.going import check, told
from tests.support.audio import RATE, write_audio
from tests.support.pytorch import Imported
from worker.client import SampleClient

pytestmark = pytest.mark.any_redis

IMPORTED = ("lhotse.dataset",)
OUR_BATCHES, THEIR_BATCHES = "return dataset[CutSet", "sampler = DynamicCutSampler"
FILES, CUTS_OF_FILE, LONGEST_S = 20, 20, 2.0


def write_cuts(folder: Path) -> None:
    """Write cuts as Lhotse writes them: even numbers are voice, and starts are no round numbers."""
    from lhotse import CutSet, Recording, SupervisionSegment

    cuts = []
    for file in range(FILES):
        recording = Recording.from_file(write_audio(folder / "audio" / f"{file}.wav", 2 * LONGEST_S))
        for place in range(CUTS_OF_FILE):
            number = file * CUTS_OF_FILE + place
            name = ("voice", "music")[number % 2]
            cut = recording.to_cut().truncate(offset=place / 13, duration=(0.3, 0.7, LONGEST_S)[number % 3])
            cut.id, cut.custom = f"cut-{number}", {"kind": name}
            words = {"text": f"{name} {number}", "start": 0.0, "duration": cut.duration}
            cut.supervisions = [SupervisionSegment(f"s-{number}", recording.id, **words)]
            cuts.append(cut)
    CutSet.from_cuts(cuts).to_file(folder / "cuts.jsonl.gz")


@pytest.fixture
def cuts(serve: Serve, tmp_path: Path) -> None:
    write_cuts(tmp_path)
    noted = serve("cuts.jsonl.gz", "--category-column", "kind")
    assert "read as a Lhotse manifest: source as path, duration as duration_s, start as start_s" in noted


def seconds_of(lines: list[str]) -> list[float]:
    """Return the seconds of each batch that an example has written, padding included; check its texts."""
    found = []
    for line in lines:
        shape, texts = literal_eval(line.replace(") [", "), ["))
        assert all(re.fullmatch(r"(voice|music) \d+", text) for text in texts), line
        found.append(shape[0] * shape[1] / RATE)
    return found


@pytest.mark.usefixtures("cuts")
def test_a_training_hears_cuts(
    run_printed: RunPrinted, redis_url: str, prefix: str, tmp_path: Path, libraries: Imported
) -> None:
    """The training runs by the examples, and with a moving mix and a state."""
    seconds = seconds_of(run_printed(OUR_BATCHES))
    assert len(seconds) == 100
    # 11 cuts of at most 0.7 s fit into 8 s, of which all may be of 0.3 s, or 4 of 2 s.
    assert {8.0} < {round(one, 1) for one in seconds} <= {3.3, 7.7, 8.0}
    seconds = seconds_of(run_printed(THEIR_BATCHES))
    assert len(seconds) >= 100 * 16 * 0.3 / 8
    check(told("lhotse", redis_url, prefix, tmp_path, libraries))


class Drawn:
    """Cuts as they are drawn."""

    def __init__(self, stream: Any, cut_of: dict[int, Any]) -> None:
        self.stream, self.cut_of = stream, cut_of

    def __iter__(self) -> Iterator[Any]:
        for sample in self.stream:
            yield from (self.cut_of[int(chunk)] for chunk in sample.chunk_ids)


def is_whole(cut: Any) -> bool:
    return bool(cut.start == 0)


@pytest.mark.usefixtures("worker")
@pytest.mark.filterwarnings("ignore:Your 'buffer_size' setting of 20 might be too low:UserWarning:lhotse")
def test_samplers_that_would_draw_and_throw_away_are_refused(client: SampleClient) -> None:
    from lhotse import CutSet
    from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler
    from lhotse.testing.dummies import dummy_cut

    from worker.client.torch import ChunkIdStream

    cut_of = {chunk: dummy_cut(chunk, duration=1 + chunk % 2) for chunk in range(1000, 4000)}

    def drawn(session: str) -> Any:
        stream = ChunkIdStream(5, batches=10, session=session, method="epoch", category="voice", client=client)
        return CutSet(Drawn(stream, cut_of)).filter(is_whole)

    def heard(sampler: Any) -> list[str]:
        return sorted(cut.id for cuts in sampler for cut in cuts)

    whole = [f"dummy-mono-cut-{chunk:04d}" for chunk in range(1000, 1050)]
    assert heard(DynamicCutSampler(drawn("a"), max_duration=8)) == whole
    bucketing: dict[str, Any] = {"max_duration": 8, "num_buckets": 2, "buffer_size": 20}
    assert heard(DynamicBucketingSampler(drawn("b"), duration_bins=[1.5], **bucketing)) == whole

    with pytest.raises(ValueError, match=r"would draw cuts to find its buckets, .* accepted: duration_bins="):
        DynamicBucketingSampler(drawn("c"), **bucketing)
    for rank in (0, 1):
        for make in (DynamicCutSampler, DynamicBucketingSampler):
            own = {"duration_bins": [1.5], **bucketing} if make is DynamicBucketingSampler else {"max_duration": 8}
            with pytest.raises(ValueError, match=r"would draw 2 batches for each .* accepted: world_size=1, rank=0"):
                heard(make(drawn("c"), world_size=2, rank=rank, **own))
    first = iter(DynamicCutSampler(drawn("d"), max_cuts=4))
    begun = [cut.id for _ in range(3) for cut in next(first)]
    with pytest.raises(ValueError, match="would draw as many batches as its state has counted, and throw them away"):
        DynamicCutSampler(drawn("d"), max_cuts=4).load_state_dict(first.state_dict())
    anew = [cut.id for cut in next(iter(DynamicCutSampler(drawn("d"), max_cuts=4)))]
    assert (len(begun), len({*begun, *anew})) == (12, 16)
    assert heard(DynamicCutSampler(drawn("c"), max_duration=8)) == whole  # nothing was drawn by what was refused
