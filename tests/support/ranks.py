"""Ranks that train, forked off one process as torchrun starts them."""

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from worker.client import SampleClient

Heard = Callable[[str, SampleClient], list[int]]


def _train(heard: Heard, url: str, prefix: str, whats: tuple[str, ...]) -> dict[str, list[Any]]:
    """Be one rank, and return what each rank heard in each training, or the sentence of its error."""
    from torch import distributed

    client = SampleClient(url, prefix=prefix, timeout_s=60)
    found = {}
    for what in whats:
        try:
            told: Any = heard(what, client)
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            told = f"{error} {error.__context__ or ''}"  # Lightning ends its loops with an error of its own
        found[what] = [None] * distributed.get_world_size()
        distributed.all_gather_object(found[what], told)
    distributed.destroy_process_group()
    return found


def launch(heard: Heard, module: str, ranks: str, url: str, prefix: str, *whats: str) -> None:
    """Import what all ranks need, once, and fork them off; writes what they told.

    Args:
        heard: Trains as one rank, and returns the chunks that it heard.
        module: What all ranks need.
        ranks: How many there are.
        url: The URL of Redis.
        prefix: The start of its keys.
        whats: Trainings, one after the other: starting takes most of the time.
    """
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    warnings.simplefilter("ignore")
    import_module(module)
    config = LaunchConfig(1, 1, int(ranks), rdzv_backend="c10d", rdzv_endpoint="localhost:0", run_id=prefix)
    config = replace(config, start_method="fork", max_restarts=0)
    found = elastic_launch(config, _train)(heard, url, prefix, whats)
    sys.stdout.write("TOLD " + json.dumps(found[0]) + "\n")
