"""Ask for samples out of a training job, by plain calls or awaited ones; importing it costs next to nothing."""

from worker.client.aio import AsyncSampleClient, AsyncSampleStream
from worker.client.arguments import Asked, Options
from worker.client.samples import Sample
from worker.client.stream import SampleStream
from worker.client.sync import SampleClient
from worker.errors import (
    ClientClosedError,
    LeftOutWarning,
    RedisError,
    SampleError,
    SampleTimeoutError,
    SettingsError,
)

__all__ = [
    "Asked",
    "AsyncSampleClient",
    "AsyncSampleStream",
    "ClientClosedError",
    "LeftOutWarning",
    "Options",
    "RedisError",
    "Sample",
    "SampleClient",
    "SampleError",
    "SampleStream",
    "SampleTimeoutError",
    "SettingsError",
]
