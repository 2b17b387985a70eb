"""Compare looks at a running system: what was drawn meanwhile, how well it fits, and who has applied which weights."""
