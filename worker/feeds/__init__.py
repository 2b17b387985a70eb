"""Keep the snapshots fresh: every subscription is a resync; notify for latency, poll for correctness."""
