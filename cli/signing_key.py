"""``identity key``."""

from cli.noun import Noun

key = Noun(
    "key", "Manage the signing keys of a tenant.", "/tenants/{tenant}/keys",
    ("kid", "alg", "is_signing", "activates_at", "verify_until"),
)  # fmt: skip

key.add_list("List the keys that still verify, oldest first.", is_paged=False)
key.add_post(
    "rotate", "Publish a new key; it signs once every cached key set has it, and no live token is refused.",
    below="/rotate",
)  # fmt: skip
