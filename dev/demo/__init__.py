"""The story that a first start plays: every step is real HTTP against the running product."""

from dev.demo.story import StoryError, play

__all__ = ["StoryError", "play"]
