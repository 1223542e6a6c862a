"""The story that a first start plays: every step is real HTTP against the running product."""
