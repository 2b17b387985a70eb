"""The wire contract as pydantic models, for back ends: a page with sliders, a service that asks for samples.

They need pydantic alone, and neither a server's driver nor NumPy. Requests, weights and states are checked by the same
functions as in workers. So a model accepts what a worker accepts, and refuses what it refuses.
"""

from worker.models.changes import WeightsChange
from worker.models.requests import SampleRequest
from worker.models.results import SampleResult
from worker.models.weights import CategoryWeights
from worker.models.workers import WorkerState

__all__ = ["CategoryWeights", "SampleRequest", "SampleResult", "WeightsChange", "WorkerState"]
