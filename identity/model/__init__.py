"""Rules and values. Pure: standard library only; no clock, no randomness, no I/O."""
