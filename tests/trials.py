"""How many examples a property is tried with: a fifth of them, or all where the long proofs are wanted."""

import os

SHARE = float(os.environ.get("IDENTITY_PROVE_EXAMPLES") or 0.2)


def trials(whole: int) -> int:
    """Return how many of ``whole`` examples this run tries; IDENTITY_PROVE_EXAMPLES is the share of them."""
    return max(1, round(whole * SHARE))
