"""What `adjust history` does."""

import asyncio

from worker.adapters.redis.weights_writer import RedisWeightsWriter
from worker.cli.context import check_dataset, open_redis
from worker.cli.weights.history import print_changes
from worker.core.adjust.driver import AUTHOR
from worker.core.weights.history import Change


def show_steps(dataset: str | None, count: int, *, as_json: bool) -> None:
    """Print the newest changes of weights that rules have made.

    Args:
        dataset: Of this dataset alone; None: of all.
        count: At most this many.
        as_json: Whether to print JSON.
    """
    check_dataset(dataset)

    async def work() -> list[Change]:
        found: list[Change] = []
        async with open_redis() as opened:
            async for change in RedisWeightsWriter(opened.client, opened.keys).history():
                if change.who.startswith(AUTHOR) and dataset in {None, change.name}:
                    found.append(change)
                    if len(found) == count:
                        break
        return found

    print_changes(asyncio.run(work()), "no step of a rule is in the history", as_json=as_json)
