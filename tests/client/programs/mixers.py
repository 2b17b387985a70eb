"""Change weights before a fork, in two forked processes, and show the history."""

import json
import os
import sys

from worker.client import SampleClient

url, prefix = sys.argv[1:]
client = SampleClient(url, prefix=prefix)
client.set_weights({"voice": 1}, who="parent")
for number in range(2):
    if os.fork() == 0:
        client.set_weights({"music": 1 + number}, who=f"child {number}")
        client.close()
        os._exit(0)
    os.wait()
json.dump({"heard": [change.who for change in client.weights_history()]}, sys.stdout)
client.close()
