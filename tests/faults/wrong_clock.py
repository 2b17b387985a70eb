"""Run the worker under a wrong clock: `wrong_clock.py SECONDS python -m worker run`."""

import runpy
import sys
import time

if __name__ == "__main__":
    ahead_ns = int(sys.argv[1]) * 1_000_000_000
    right_ns = time.time_ns
    time.time_ns = lambda: right_ns() + ahead_ns
    time.time = lambda: time.time_ns() / 1e9
    sys.argv = sys.argv[4:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
