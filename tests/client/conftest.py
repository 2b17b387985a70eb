"""A worker that serves in the background, clients that are closed with the test, and libraries of trainings."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support.background import serving_in_background
from tests.support.pytorch import Imported, imported
from worker.client import AsyncSampleClient, SampleClient

MakeClient = Callable[..., SampleClient]


@pytest.fixture
def worker(redis_url: str, prefix: str) -> Iterator[None]:
    """A worker with 50 chunks in each of three categories, the ids of voice from 1000, of music from 2000."""
    with serving_in_background(redis_url, prefix):
        yield


@pytest.fixture
def make_client(redis_url: str, prefix: str) -> Iterator[MakeClient]:
    """Make clients; those that are not closed yet are closed at the end."""
    with ExitStack() as opened:

        def make(**options: object) -> SampleClient:
            settings = {"url": redis_url, "prefix": prefix, "timeout_s": 20.0, **options}
            return opened.enter_context(SampleClient(**settings))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> SampleClient:
    return make_client()


@pytest.fixture
async def async_client(redis_url: str, prefix: str) -> AsyncIterator[AsyncSampleClient]:
    async with AsyncSampleClient(redis_url, prefix=prefix, timeout_s=20) as client:
        yield client


@pytest.fixture(scope="module")
def libraries(request: pytest.FixtureRequest) -> Iterator[Imported]:
    """A process that has imported what the module names as `IMPORTED`: most of the time of its programs."""
    with imported(*request.module.IMPORTED) as process:
        yield process
