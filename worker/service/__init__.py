"""The running worker: reads requests, draws, settles, and keeps its snapshots in force."""
