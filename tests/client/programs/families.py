"""Use one client in a process and in its children, by every way there is to make them; write what each got as JSON.

python families.py URL PREFIX fork|spawn|os-fork
"""

import json
import multiprocessing
import os
import sys
from typing import Any

from worker.client import SampleClient, SampleStream


def ask(client: SampleClient, stream: SampleStream | None = None) -> dict[str, Any]:
    """Ask for a sample each way; return whose thread and which ids."""
    found: dict[str, Any] = {"pid": os.getpid(), "sizes": [len(client.sample(5).chunk_ids)]}
    if stream is not None:
        found["numbers"] = [next(stream).request_id for _ in range(20)]
    return found


def ask_in_child(client: SampleClient, results: Any) -> None:
    results.put(ask(client))


def by_multiprocessing(client: SampleClient, how: str) -> list[Any]:
    """Hand the client to two children, which end without closing it."""
    context: Any = multiprocessing.get_context(how)
    results = context.Queue()
    children = [context.Process(target=ask_in_child, args=(client, results)) for _ in range(2)]
    for child in children:
        child.start()
    found = [results.get(timeout=30) for _ in children]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    return found


def by_fork(client: SampleClient, stream: SampleStream) -> list[Any]:
    """Fork as plainly as can be, with a stream half-way, and close the client in the child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        found = ask(client, stream)
        client.close()
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found = json.loads(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    return [found]


def main(url: str, prefix: str, how: str) -> None:
    client = SampleClient(url, prefix=prefix, timeout_s=20)
    stream = client.stream(3, request_ids=str)
    before = ask(client, stream)
    children = by_fork(client, stream) if how == "os-fork" else by_multiprocessing(client, how)
    sys.stdout.write(json.dumps({"before": before, "children": children, "after": ask(client, stream)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
