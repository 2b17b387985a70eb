"""Losses of a training loop by category: summed correctly, reported automatically, and never waited for at a step."""

import asyncio
import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.conftest import MakeClient
from tests.client.test_reports import HERE, NOWHERE, stored
from tests.support.servers import connect
from worker.client import AsyncSampleClient, FeedbackWarning, LossByCategory, Sample, SampleClient
from worker.client.loss_sums import _add_up_arrays, _add_up_lists, add_up, joined
from worker.core.keys import Keys
from worker.core.wire.losses import LARGEST_SUM

NAMES = ["voice", "music", "news"]
OLDER, NEWER = "0123456789ab", "ba9876543210"


class Noted:
    """A client that notes what it is asked to report; its futures are done when a test says so."""

    def __init__(self) -> None:
        self.reports: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.futures: list[Future[str]] = []
        self._are_stored = False

    def submit_report(self, losses: Any, **options: Any) -> "Future[str]":
        self.reports.append((dict(losses), options))
        self.futures.append(Future())
        if self._are_stored:
            self.futures[-1].set_result("1-0")
        return self.futures[-1]

    def settle(self) -> None:
        """Let all reports be stored, those to come too."""
        self._are_stored = True
        for future in self.futures:
            future.set_result("1-0")


@pytest.fixture
def noted() -> Noted:
    return Noted()


def warned(call: Callable[[], object]) -> list[str]:
    """Call, and return what was warned of, each at the line of this file that called."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    assert {(one.category, one.filename) for one in said} <= {(FeedbackWarning, __file__)}
    return [str(one.message) for one in said]


def is_taken(loss: float) -> bool:
    return abs(loss) <= LARGEST_SUM


def sums_of(names: Sequence[str], losses: Sequence[float]) -> dict[str, dict[str, Any]]:
    groups = defaultdict(list)
    for name, loss in zip(names, losses, strict=True):
        groups[name].append(loss)
    return {
        name: {"sum": math.fsum(group), "count": len(group), "squares": math.fsum(loss * loss for loss in group)}
        for name, group in groups.items()
    }


def assert_alike(found: dict[str, dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> None:
    assert found.keys() == wanted.keys()
    for name, parts in wanted.items():
        assert found[name] == pytest.approx(parts, rel=1e-5, abs=1e-6)


numbers = st.floats(-1e6, 1e6, width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 1e19, -1e30])
steps = st.lists(st.lists(st.tuples(st.sampled_from(NAMES), numbers), max_size=6), min_size=1, max_size=6)


@given(steps.map(lambda parts: [pair for part in parts for pair in part]))
def test_with_and_without_numpy_the_sums_are_the_same(pairs: list[tuple[str, float]]) -> None:
    places, losses = [NAMES.index(name) for name, _ in pairs], [loss for _, loss in pairs]
    lists, arrays = (add(np, places, len(NAMES), losses) for add in (_add_up_lists, _add_up_arrays))
    for one, other in zip(lists, arrays, strict=True):
        assert other == pytest.approx(one, rel=1e-9, abs=1e-6)
    plain, broken = add_up(places, NAMES, losses)
    taken = [(name, loss) for name, loss in pairs if is_taken(loss)]
    assert_alike(plain, sums_of([name for name, _ in taken], [loss for _, loss in taken]))
    assert Counter(broken) == Counter(name for name, loss in pairs if not is_taken(loss))


@given(steps, st.integers(1, 4), st.sampled_from(["lists", "arrays", "tensors", "bfloat16", "mixed"]), st.booleans())
def test_whatever_holds_the_losses_all_of_them_are_reported(
    parts: list[list[tuple[str, float]]],
    every: int,
    kind: str,
    by_index: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    import torch

    makers: dict[str, Any] = {
        "lists": list,
        "arrays": lambda values: np.array(values, np.float32),
        "tensors": lambda values: torch.tensor(values, dtype=torch.float32, requires_grad=True) * 1.0,
        "bfloat16": lambda values: torch.tensor(values, dtype=torch.bfloat16),
    }
    noted = Noted()
    reported = LossByCategory(noted, every=every, categories=NAMES)
    names: list[str] = []
    losses: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FeedbackWarning)
        for number, pairs in enumerate(parts):
            make = makers[kind if kind != "mixed" else [*makers][number % 3]]
            held = make([loss for _, loss in pairs])
            given_names = [name for name, _ in pairs]
            places = [NAMES.index(name) for name in given_names]
            reported.update(_as(kind, places) if by_index else given_names, held)
            names += given_names
            losses += held.tolist() if hasattr(held, "tolist") else held
        reported.report()
    taken = [(name, loss) for name, loss in zip(names, losses, strict=True) if is_taken(loss)]
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for report, _ in noted.reports:
        for name, found in report.items():
            total[name].update(found)
    wanted = sums_of([name for name, _ in taken], [loss for _, loss in taken])
    assert {name: found["count"] for name, found in total.items()} == {
        name: found["count"] for name, found in wanted.items()
    }
    for name, found in wanted.items():
        assert total[name]["sum"] == pytest.approx(found["sum"], rel=1e-5, abs=1e-2)
        assert total[name]["squares"] == pytest.approx(found["squares"], rel=1e-5, abs=1e-9)


def _as(kind: str, places: list[int]) -> Any:
    import torch

    if kind in {"tensors", "bfloat16"}:
        return torch.tensor(places, dtype=torch.int64)
    return np.array(places, np.int64) if kind == "arrays" else places


def test_it_reports_every_so_many_steps_and_what_is_left_at_the_end(noted: Noted) -> None:
    with LossByCategory(noted, every=3, dataset="d", kind="eval") as reported:
        for step in range(7):
            reported.update(["voice"], [step], step=step)
            assert len(noted.reports) == (step + 1) // 3
        assert repr(reported) == "<LossByCategory: 1 of 3 steps, 2 reports on their way>"
        noted.settle()
    assert [losses["voice"]["sum"] for losses, _ in noted.reports] == [3, 12, 6]
    assert [options for _, options in noted.reports] == [
        {"dataset": "d", "kind": "eval", "step": step} for step in (2, 5, 6)
    ]
    assert reported.report() == []


def test_losses_of_other_weights_are_reported_apart(noted: Noted) -> None:
    reported = LossByCategory(noted, every=10)
    for version in (OLDER, OLDER, NEWER, None, NEWER):
        reported.update(["voice"], [1.0], weights_version=version)
    assert len(reported.report()) == 3
    found = {options.get("weights_version"): losses["voice"]["count"] for losses, options in noted.reports}
    assert found == {OLDER: 2, NEWER: 2, None: 1}


def test_buffers_that_the_loop_uses_again_change_nothing(noted: Noted) -> None:
    import torch

    array, tensor, names = np.zeros(2), torch.zeros(2), ["voice", "music"]
    reported = LossByCategory(noted, every=100)
    for step in range(4):
        array[:], tensor[:] = step, step
        names[:] = ["voice", NAMES[step % 3]]
        reported.update(names, array)
        reported.update(names, tensor)
    reported.report()
    [(losses, _)] = noted.reports
    assert {name: found["sum"] for name, found in losses.items()} == {"voice": 18.0, "music": 2.0, "news": 4.0}


def test_no_graph_is_held(noted: Noted) -> None:
    import torch

    weight = torch.ones(3, requires_grad=True)
    reported = LossByCategory(noted, every=100)
    reported.update(NAMES, (weight * 2) ** 2)
    assert not any(step.losses.requires_grad for step in reported._held)


def test_a_step_waits_for_no_device(noted: Noted) -> None:
    """Copying numbers to the host waits for the GPU. That happens once a report, for all its steps."""
    import torch
    from torch.overrides import TorchFunctionMode, resolve_name

    called: list[str] = []

    class Noting(TorchFunctionMode):
        def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            called.append((resolve_name(function) or str(function)).rpartition(".")[2])
            return function(*args, **(kwargs or {}))

    losses, labels = torch.rand(32), torch.randint(0, 3, (32,))
    with Noting():
        reported = LossByCategory(noted, every=50, categories=NAMES)
        for _ in range(49):
            reported.update(labels, losses)
        at_steps = set(called)
        called.clear()
        reported.update(labels, losses)
    assert at_steps <= {"detach", "clone", "__len__", "__get__", "ndim"}
    assert Counter(called)["cpu"] == 2  # labels and losses
    assert Counter(called)["cat"] == 2
    assert noted.reports[0][0]["voice"]["count"] > 0


@pytest.mark.parametrize(
    ("categories", "losses", "sentence"),
    [
        (["voice"], [1.0, 2.0], r"2 losses for 1 chunks; accepted: one loss for each chunk"),
        (["voice"], np.ones((1, 4)), r"losses has the shape \(1, 4\); accepted: one loss for each chunk"),
        (["voice"], np.float64(1.0), r"losses has the shape \(\)"),
        (["voice"], 1.0, r"losses has the shape \(\)"),
    ],
)
def test_what_is_not_a_loss_for_each_chunk_is_refused_at_once(
    noted: Noted, categories: Any, losses: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        LossByCategory(noted).update(categories, losses)


@pytest.mark.parametrize(
    ("names", "categories", "error", "sentence"),
    [
        ((), [0], ValueError, "category 0 is none of 0; accepted: names, or indexes of categories="),
        (NAMES, [0, 3], ValueError, "category 3 is none of 3"),
        (NAMES, [-1], ValueError, "category -1 is none of 3"),
        (NAMES, [1.5], TypeError, "float"),
        (NAMES, np.array([1.0]), TypeError, "float"),
        (NAMES, np.array([0, 3]), ValueError, "category 3 is none of 3"),
        (NAMES, ["voice", 1], TypeError, "category 1 stands among names"),
        (NAMES, [1, "voice"], TypeError, "str"),
    ],
)
def test_what_is_no_category_is_refused(
    noted: Noted, names: Any, categories: Any, error: type[Exception], sentence: str
) -> None:
    reported = LossByCategory(noted, every=1, categories=names)
    with pytest.raises(error, match=sentence):
        reported.update(categories, [1.0] * len(categories))


def test_options_are_checked_when_it_is_made(noted: Noted) -> None:
    for options, error in (({"kind": "x"}, ValueError), ({"every": 0}, ValueError), ({"sets": 1}, TypeError)):
        with pytest.raises(error):
            LossByCategory(noted, **options)


def test_losses_that_are_not_finite_are_told_once_and_left_out(noted: Noted) -> None:
    reported = LossByCategory(noted, every=2)

    def update_often() -> None:
        for _ in range(4):
            reported.update(["voice", "music"], [1.0, math.nan])

    said = warned(update_often)
    assert said == ["losses of 'music' are not finite, or too large, and are not reported: 2 so far"]
    assert [set(losses) for losses, _ in noted.reports] == [{"voice"}, {"voice"}]
    reported.update(["voice"], [math.inf])
    assert warned(reported.report) == ["losses of 'voice' are not finite, or too large, and are not reported: 1 so far"]
    assert len(noted.reports) == 2


@pytest.mark.parametrize("losses", [[1e19], [-(10.0**300)], [9e17, 9e17], [8e17, -8e17, 8e17]])
@pytest.mark.parametrize("kind", [list, np.array])
def test_losses_that_no_report_may_hold_end_no_training(noted: Noted, losses: list[float], kind: Any) -> None:
    """Each of them may be too large, or all together."""
    reported = LossByCategory(noted, every=2)

    def update() -> None:
        reported.update(["music"] * len(losses), kind(losses))
        reported.update(["voice"], [2.0])

    told = f"losses of 'music' are not finite, or too large, and are not reported: {len(losses)} so far"
    assert warned(update) == [told]
    assert [losses for losses, _ in noted.reports] == [{"voice": {"sum": 2.0, "count": 1, "squares": 4.0}}]


def test_more_categories_than_a_report_may_have_are_reported_in_several() -> None:
    with SampleClient(NOWHERE) as client:
        names = [f"{number:064}" for number in range(10_001)]
        reported = LossByCategory(client, categories=names)
        reported.update(np.arange(10_001), np.full(10_001, -1.2345678901234567e17))
        assert len(reported.report()) == 3
        assert warned(reported.close)[0].startswith("a report of losses was not stored: ")


def test_reports_that_are_not_stored_are_told_once_and_end_no_training(noted: Noted) -> None:
    reported = LossByCategory(noted, every=1)

    def update_often() -> None:
        for _ in range(4):
            reported.update(["voice"], [1.0])
            noted.futures[-1].set_exception(OSError("gone"))

    assert warned(update_often) == ["a report of losses was not stored: gone"]
    assert warned(reported.report) == []
    for step in range(4, 104):
        reported.update(["voice"], [1.0])
        assert len(noted.reports) == step + 1
    late = "a report of losses was not sent: Redis has not stored the 100 before it"
    assert warned(lambda: reported.update(["voice"], [1.0])) == [late]
    for future in noted.futures[4:]:
        future.cancel()
    broken_off = "a report of losses was not stored: the client was closed before"
    assert warned(lambda: reported.update(["voice"], [1.0])) == [broken_off]
    assert len(noted.reports) == 105


@pytest.mark.any_redis
def test_the_last_report_is_told_of_too_where_it_is_refused(
    make_client: MakeClient, redis_url: str, prefix: str
) -> None:
    with connect(redis_url) as server:
        server.set(Keys(prefix).feedback, "no stream")

    def train() -> None:
        with make_client() as client, LossByCategory(client, every=100) as reported:
            reported.update(["voice"], [1.0])

    [said] = warned(train)
    assert re.match("a report of losses was not stored: Redis at .* refused .*WRONGTYPE", said)


@pytest.mark.any_redis
async def test_the_last_report_of_the_awaited_client_is_told_of_before_it_is_closed(
    redis_url: str, prefix: str
) -> None:
    with connect(redis_url) as server:
        server.set(Keys(prefix).feedback, "no stream")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        async with AsyncSampleClient(redis_url, prefix=prefix) as client:
            with LossByCategory(client, every=100) as reported:
                reported.update(["voice"], [1.0])
    [warning] = said
    assert warning.category is FeedbackWarning
    assert re.match("a report of losses was not stored: Redis at .* refused .*WRONGTYPE", str(warning.message))


@pytest.mark.usefixtures("worker")
def test_a_sample_says_its_categories_and_its_weights(client: SampleClient, redis_url: str, prefix: str) -> None:
    drawn: Counter[str] = Counter()
    with LossByCategory(client, every=4, session="run 7") as reported:
        for step, sample in enumerate(client.stream(16, count=10, columns=("category",))):
            reported.update(sample, np.ones(16), step=step)
            drawn.update(sample.counts)
        version = sample.weights_version
        with pytest.raises(ValueError, match="the sample has no categories; accepted: one asked for with columns="):
            reported.update(client.sample(4), np.ones(4))
    client.close()
    found = stored(redis_url, prefix)
    assert [one.step for one in found] == [3, 7, 9]
    assert {(one.weights_version, one.session, one.reporter) for one in found} == {(version, "run 7", HERE)}
    total: Counter[str] = Counter()
    for one in found:
        total.update({name: loss.count for name, loss in one.losses.items()})
    assert total == drawn


@pytest.mark.usefixtures("worker")
async def test_the_awaited_client_reports_too(redis_url: str, prefix: str) -> None:
    async with AsyncSampleClient(redis_url, prefix=prefix, timeout_s=20) as client:
        with LossByCategory(client, every=3) as reported:
            async for sample in client.stream(8, count=7, columns=("category",)):
                reported.update(sample, [1.0] * 8)
        futures = [one for one in reported._sent if isinstance(one, asyncio.Future)]
        assert len(await asyncio.gather(*futures)) == 3
    counts: Counter[str] = Counter()
    for one in stored(redis_url, prefix):
        counts.update({name: loss.count for name, loss in one.losses.items()})
    assert counts.total() == 7 * 8


@pytest.mark.any_redis
def test_where_redis_is_away_a_training_goes_on(make_client: MakeClient) -> None:
    reported = LossByCategory(make_client(url=NOWHERE), every=1)
    reported.update(["voice"], [1.0])
    [future] = reported._sent
    assert isinstance(future, Future)
    assert future.exception(20) is not None
    [said] = warned(lambda: reported.update(["voice"], [1.0]))
    assert re.match("a report of losses was not stored: Redis at .* is not reachable", said)


@pytest.fixture
def batches() -> Any:
    """A stream of batches whose inputs are as hard as their category says."""
    import torch

    generator = torch.Generator().manual_seed(1)
    return lambda labels: torch.randn(len(labels), 4, generator=generator) * (1 + labels[:, None].float())


@pytest.mark.any_redis
@pytest.mark.usefixtures("worker")
def test_a_training_by_pytorch_reports_what_it_measured(
    client: SampleClient, redis_url: str, prefix: str, batches: Any
) -> None:
    """Its reports are the losses that it saw, and its weights are those of a training that reports nothing."""
    import torch

    def train(reported: LossByCategory | None, samples: Sequence[Sample]) -> tuple[Any, dict[str, list[float]]]:
        torch.manual_seed(3)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        seen: dict[str, list[float]] = defaultdict(list)
        for step, sample in enumerate(samples):
            assert sample.categories is not None
            x = inputs[step]
            losses = torch.nn.functional.mse_loss(model(x), x, reduction="none").mean(dim=1)
            if reported:
                reported.update(sample, losses, step=step)
            optimizer.zero_grad()
            losses.mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for name, loss in zip(sample.categories, losses.tolist(), strict=True):
                seen[name].append(loss)
        return model.state_dict(), seen

    samples = list(client.stream(32, count=60, columns=("category",)))
    inputs = [batches(torch.tensor([ord(name[0]) % 3 for name in sample.categories or ()])) for sample in samples]
    plain, _ = train(None, samples)
    with LossByCategory(client, every=25) as reported:
        trained, seen = train(reported, samples)
    client.close()
    assert all(torch.equal(plain[name], trained[name]) for name in plain)
    found = stored(redis_url, prefix)
    assert [one.step for one in found] == [24, 49, 59]
    for name, losses in seen.items():
        sums = [one.losses[name] for one in found if name in one.losses]
        assert sum(one.count for one in sums) == len(losses)
        assert sum(one.sum for one in sums) == pytest.approx(math.fsum(losses), rel=1e-6)
        assert sum(one.squares for one in sums) == pytest.approx(math.fsum(loss * loss for loss in losses), rel=1e-6)


def test_vectors_on_several_devices_are_joined() -> None:
    import torch

    parts = [torch.ones(2), torch.zeros(1, dtype=torch.float64)]
    assert joined(parts).tolist() == [1.0, 1.0, 0.0]
    assert joined([torch.ones(2), [3.0], np.array([4.0])]) == [1.0, 1.0, 3.0, 4.0]
    assert joined([np.array([4.0]), np.array([5.0])]).tolist() == [4.0, 5.0]


@pytest.mark.any_redis
def test_losses_load_no_pytorch(redis_url: str, prefix: str) -> None:
    from tests.support.jobs import run_job

    program = f"""
import sys
from worker.client import LossByCategory, SampleClient
with SampleClient({redis_url!r}, prefix={prefix!r}) as client, LossByCategory(client) as reported:
    reported.update(["voice"], [1.0])
print('torch' in sys.modules)
"""
    assert run_job("-c", program).strip() == "False"
    with connect(redis_url) as server:
        assert server.xlen(Keys(prefix).feedback) == 1
