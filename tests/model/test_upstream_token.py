"""Reading upstream tokens: whatever their claims are, they are refused by a rule, or what is kept can be told on."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from identity_verifier.claims import unfold_actors
from identity_verifier.rules import is_actor

from identity.model.connection import Connection, ConnectionKind, Match, TokenKind, UpstreamAct, UpstreamPolicy
from identity.model.upstream_act import ACT_BYTES_MAX, LINKS_MAX, chain_of, is_issuer_of_ours
from identity.model.upstream_token import KINDS_OF_TYPE, Acting, Upstream, fault_of, kind_of, upstream_of

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SECOND = int(NOW.timestamp())
OWN = "https://identity.example/t/acme"
LOGIN = "https://login.example"
ACTING = Acting(OWN, UUID(int=1), "client-1")
CONNECTION = Connection(
    id=UUID(int=2), kind=ConnectionKind.OIDC, name="login", dialect=None, issuer=LOGIN, jwks_uri=None, jwks={},
    audiences=("portal",), subject_claim="sub", match=Match.SUBJECT, provisioned_by=None,
    policy=UpstreamPolicy(token_kinds=tuple(TokenKind), upstream_act=UpstreamAct.KEEP),
    version=1, created_at=NOW, ended_at=None,
)  # fmt: skip
RIGHT = {"iss": LOGIN, "sub": "sam", "aud": "portal", "iat": SECOND, "exp": SECOND + 60}

words = st.sampled_from(["portal", "client-1", LOGIN, OWN, "ID", "Bearer", "Refresh", "", "é", "\x00"]) | st.text()
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(words, v, max_size=3), max_leaves=8)
links = st.recursive(
    scalars | st.fixed_dictionaries({}, optional={"sub": words, "iss": words, "sub_profile": words, "more": values}),
    lambda inner: st.fixed_dictionaries({"sub": words}, optional={"iss": words, "act": inner}),
    max_leaves=4,
)
NAMES = (
    "iss", "sub", "aud", "iat", "exp", "nbf", "azp", "typ", "token_use", "type", "events", "cnf", "act", "may_act",
    "acr", "amr", "auth_time", "client_id", "scope", "scp", "jti", "at_hash",
)  # fmt: skip


@given(
    changed=st.dictionaries(st.sampled_from(NAMES), values, max_size=3),
    typ=st.none() | st.sampled_from(["JWT", "at+jwt", "logout+jwt"]) | values,
    type_=st.sampled_from(sorted(KINDS_OF_TYPE)),
)
def test_any_claims_are_refused_by_a_rule_or_kept_in_a_form_that_can_be_told_on(
    changed: dict[str, Any], typ: Any, type_: str
) -> None:
    header = {} if typ is None else {"typ": typ}
    claims = RIGHT | changed
    if fault_of(header, claims, type_, CONNECTION, ACTING, NOW) is not None:
        return
    assert "cnf" not in claims
    assert "events" not in claims
    kept = upstream_of(claims, CONNECTION, ACTING, NOW)
    assert kept.act is None or all(map(is_actor, unfold_actors({"act": kept.act})))
    assert json.loads(json.dumps(kept.amr)) == list(kept.amr)
    assert kept.auth_time is None or 0 <= kept.auth_time <= SECOND + 30


@given(act=links | values)
def test_any_upstream_act_is_refused_or_kept_whole_with_an_issuer_in_each_link(act: Any) -> None:
    chain = chain_of(act, upstream_issuer=LOGIN, own_issuer=OWN)
    if chain is None:
        return
    kept, sent = unfold_actors({"act": chain}), unfold_actors({"act": act})
    assert len(kept) == len(sent) <= LINKS_MAX
    assert len(json.dumps(chain)) <= ACT_BYTES_MAX
    for link, said in zip(kept, sent, strict=True):
        assert is_actor(link)
        assert link["iss"] == said.get("iss", LOGIN) != OWN
        assert {name: value for name, value in link.items() if name not in ("act", "iss")} == {
            name: value for name, value in said.items() if name not in ("act", "iss")
        }


@given(
    header=st.fixed_dictionaries({}, optional={"typ": values}),
    claims=st.dictionaries(st.sampled_from(NAMES), values, max_size=6),
)
def test_no_token_is_both_an_id_token_and_an_access_token(header: dict[str, Any], claims: dict[str, Any]) -> None:
    id_token = kind_of(header, RIGHT | claims, frozenset({TokenKind.ID_TOKEN}))
    access_token = kind_of(header, RIGHT | claims, frozenset({TokenKind.ACCESS_TOKEN, TokenKind.JWT_ACCESS_TOKEN}))
    assert None in (id_token, access_token)


def test_what_the_upstream_named_counts_for_depth() -> None:
    assert Upstream().depth == 0
    assert Upstream(act={"sub": "a", "act": {"sub": "b"}}).depth == 2


def test_issuers_elsewhere_are_not_ours() -> None:
    for issuer in (LOGIN, "https://identity.example", "https://identity.example/tt/acme", "https://identity.example/x/t/a",
                   "urn:example:t", "https://other.example/t/acme", "acme"):  # fmt: skip
        assert not is_issuer_of_ours(issuer, OWN), issuer
    assert is_issuer_of_ours("https://[", OWN), "what cannot be read is not believed to be another's"
