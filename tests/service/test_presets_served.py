"""Presets on real servers: stored, changed and removed while requests name them."""

import json

from tests.support.streams import Desk
from tests.support.workers import answers, serving, settled
from worker.core.stats import read_counts
from worker.core.weights.in_force import preset_name

CHANGES = 60


async def test_a_request_is_drawn_under_its_preset(desk: Desk, redis_url: str) -> None:
    key = desk.keys.weights(preset_name("mine"))
    await desk.client.set(key, json.dumps({"documentary": 2}))
    presets = ["balanced", "voice-heavy", "mine", "nobodys", "no name at all"]
    async with serving(redis_url, desk.keys.prefix):
        ids = await desk.add(*({"preset": preset, "size": 600, "dataset": "d"} for preset in presets))
        found = [result for _, result in sorted((await answers(desk, ids)).items())]
        await settled(desk)
    assert [result.get("error") for result in found] == [None, None, None, "unknown_preset", "unknown_preset"]
    assert [result.get("weights_source") for result in found[:3]] == ["preset"] * 3
    assert json.loads(found[0]["counts"]).keys() == {"voice", "music", "documentary"}
    assert "conference" in found[1]["left_out"]
    assert json.loads(found[2]["counts"]) == {"documentary": 600}
    counted = read_counts(await desk.counts())
    assert counted.requests == {
        "preset:balanced": 1,
        "preset:voice-heavy": 1,
        "preset:mine": 1,
        "": 2,
    }
    assert {row.dataset: row.count for row in counted.categories if row.category == "documentary"}["preset:mine"] == 600


async def test_a_stored_preset_is_in_force_for_the_next_request_with_or_without_a_bell(
    desk: Desk, redis_url: str
) -> None:
    """Stored, changed and removed: no request is ever answered under an older one."""
    key = desk.keys.weights(preset_name("mine"))
    async with serving(redis_url, desk.keys.prefix):
        for change in range(CHANGES):
            category = ("voice", "music", None)[change % 3]
            await (desk.client.delete(key) if category is None else desk.client.set(key, json.dumps({category: 1})))
            if change % 2:
                await desk.client.publish(key, "")
            ids = await desk.add(*[{"preset": "mine"}] * 3)
            found = await answers(desk, ids)
            expected = (None, "unknown_preset") if category is None else (f'{{"{category}":1}}', None)
            assert {(result.get("counts"), result.get("error")) for result in found.values()} == {expected}
