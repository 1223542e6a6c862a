"""What is true. Pure: standard library only; no clock, no dice, no I/O."""
