"""The functional core: no await, no clock, no ambient randomness, no logging, no environment."""
