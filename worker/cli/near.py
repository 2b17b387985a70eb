"""Suggestions for names that nothing has: the name that was probably meant, for the end of a sentence.

A suggestion reads more than the verb itself needs, by modules that only this needs. If a role may not read it, the
sentence has no suggestion.
"""

from collections.abc import Awaitable, Collection

from worker.cli.context import Opened
from worker.core.weights.in_force import preset_of
from worker.core.weights.values import BUILT_IN
from worker.core.wording import did_you_mean
from worker.errors import RedisError


async def near_session(opened: Opened, name: str) -> str:
    """Ask for the session that may have been meant by a name that none has; empty if none is near."""
    from worker.adapters.redis.sessions import RedisSessions  # noqa: PLC0415 - where a name is unknown

    return await _near(name, RedisSessions(opened.client, opened.keys).names())


async def near_category(opened: Opened, name: str) -> str:
    """Ask for the category that may have been meant, as far as live workers name theirs; empty if none is near."""
    from worker.weights.in_use import try_to_find_ready  # noqa: PLC0415 - the same

    ready = await try_to_find_ready(opened.client, opened.keys, None)
    return did_you_mean(name, [*(ready.categories or {}), *BUILT_IN])


async def near_list(opened: Opened, name: str) -> str:
    """Ask for the exclusion list that may have been meant by a name that none has; empty if none is near."""
    from worker.adapters.redis.exclusions import RedisExclusions  # noqa: PLC0415 - the same

    return await _near(name, RedisExclusions(opened.client, opened.keys).names())


async def near_preset(opened: Opened, name: str) -> str:
    """Ask for the stored preset that may have been meant by a name that none has; empty if none is near."""
    from worker.adapters.redis.weights_writer import RedisWeightsWriter  # noqa: PLC0415 - the same

    return await _near(name, RedisWeightsWriter(opened.client, opened.keys).presets())


async def near_dataset(opened: Opened, name: str) -> str:
    """Ask for the dataset that may have been meant by one without weights of its own; empty if none is near."""
    return await _near(name, _datasets(opened))


async def _datasets(opened: Opened) -> set[str]:
    """List datasets that have weights of their own, as far as the history and live workers know them.

    Raises:
        RedisError: Redis did not answer, or refused.
    """
    from worker.adapters.redis.weights_writer import RedisWeightsWriter  # noqa: PLC0415 - the same
    from worker.weights.in_use import live_workers  # noqa: PLC0415 - the same

    workers = await live_workers(opened.client, opened.keys)
    stored = {name: bool(own) for worker in workers for name, own in worker.datasets.items()}
    async for change in RedisWeightsWriter(opened.client, opened.keys).history():  # the newest first
        stored.setdefault(change.name or "", bool(change.after))
    return {name for name, is_stored in stored.items() if is_stored and name and not preset_of(name)}


async def _near(name: str, names: Awaitable[Collection[str]]) -> str:
    try:
        return did_you_mean(name, await names)
    except RedisError:  # whoever may not list names is told what is certain
        return ""
