"""Groups within groups: how far a membership reaches, and how much of it there may be."""

NESTING_MAX = 8
"""Levels of groups within a group that a look-up goes down."""

NESTED_MAX = 500
"""Groups below one group, over all levels, and groups above one."""

MEMBERSHIPS_MAX = 1_000
"""Groups of one source that a principal may be in directly; as many as its representation shows."""
