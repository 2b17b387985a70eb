"""Use one asynchronous client on one event loop after the other, with a stream half-way; write what came.

python loops.py URL PREFIX NAME
"""

import asyncio
import gc
import json
import sys
import threading

from worker.client import AsyncSampleClient, AsyncSampleStream


async def ask(client: AsyncSampleClient, stream: AsyncSampleStream) -> list[str]:
    await client.sample(3)
    return [(await anext(stream)).request_id for _ in range(5)]


def refused(client: AsyncSampleClient) -> str:
    """Use the client on a loop of another thread, while its own lives."""
    told: list[str] = []

    async def use() -> None:
        try:
            await client.sample()
        except RuntimeError as error:
            told.append(str(error))

    thread = threading.Thread(target=asyncio.run, args=(use(),))
    thread.start()
    thread.join()
    return told[0]


async def end(client: AsyncSampleClient) -> str:
    await client.sample()
    sentence = await asyncio.to_thread(refused, client)
    await client.close()
    return sentence


def main(url: str, prefix: str, name: str) -> None:
    client = AsyncSampleClient(url, prefix=prefix, name=name or None, timeout_s=60)
    stream = client.stream(4, prefetch=4, request_ids=str)
    heard: list[str] = []
    for _ in range(3):
        heard += asyncio.run(ask(client, stream))
    sentence = asyncio.run(end(client))
    gc.collect()
    sys.stdout.write(json.dumps({"heard": heard, "sentence": sentence}))


if __name__ == "__main__":
    main(*sys.argv[1:])
