"""A training job that consumes a stream and notes what it consumed; kill it and start it again.

python job.py URL PREFIX NOTES COUNT
"""

import sys
from pathlib import Path

from worker.client import SampleClient


def main(url: str, prefix: str, notes: str, count: int) -> None:
    path = Path(notes)
    done = len(path.read_text().splitlines()) if path.exists() else 0
    if done == count:  # whoever was to kill it came too late
        return
    with path.open("a") as log, SampleClient(url, prefix=prefix, name="job", timeout_s=30) as client:
        stream = client.stream(4, prefetch=16, count=count - done, request_ids=lambda number: f"step-{done + number}")
        for sample in stream:
            log.write(f"{sample.request_id} {sample.entry_id} {','.join(map(str, sample.chunk_ids))}\n")
            log.flush()


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
