"""The draw: from requests and snapshots to results and counts."""
