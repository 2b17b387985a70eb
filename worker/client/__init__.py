"""Ask for samples in a training job, report losses, and read and change weights, by plain or awaited calls.

It is quick to import: it loads redis-py and some modules of the worker, but neither NumPy, asyncpg nor structlog.
"""

from worker.client.aio import AsyncSampleClient, AsyncSampleStream
from worker.client.arguments import Asked, Options
from worker.client.feedback import LossByCategory
from worker.client.report_calls import ReportOptions
from worker.client.samples import Sample
from worker.client.stream import SampleStream
from worker.client.sync import SampleClient
from worker.client.weights import Preset, WeightsChange, WeightsInForce
from worker.errors import (
    ClientClosedError,
    FeedbackWarning,
    LeftOutWarning,
    RedisError,
    SampleError,
    SampleTimeoutError,
    SettingsError,
    StaleError,
    WeightsError,
    WeightsWarning,
)

__all__ = [
    "Asked",
    "AsyncSampleClient",
    "AsyncSampleStream",
    "ClientClosedError",
    "FeedbackWarning",
    "LeftOutWarning",
    "LossByCategory",
    "Options",
    "Preset",
    "RedisError",
    "ReportOptions",
    "Sample",
    "SampleClient",
    "SampleError",
    "SampleStream",
    "SampleTimeoutError",
    "SettingsError",
    "StaleError",
    "WeightsChange",
    "WeightsError",
    "WeightsInForce",
    "WeightsWarning",
]
