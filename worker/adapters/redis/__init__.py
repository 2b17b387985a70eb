"""Everything that speaks to Redis."""
