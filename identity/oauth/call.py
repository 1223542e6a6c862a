"""One request to the token service: its tenant, form, credential and transaction, and what was read for it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, g

from identity.actions.audit import record_refusal
from identity.actions.client_authentication import (
    AssertionCredential,
    CommonFacts,
    Credential,
    InvalidClient,
    SecretCredential,
    authenticate_client,
    caller_of,
    parse_assertion,
    parse_secret,
)
from identity.actions.issuance import Issuer
from identity.actions.upstream import UpstreamKeysNeeded
from identity.edge.audit import refusal_detail, refusals_audited
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import issuer_for, tenant_of
from identity.edge.request import request_id
from identity.edge.runtime import Runtime, Tx, open_transaction, runtime
from identity.model.access import Caller
from identity.model.client import AuthMethod, Client
from identity.model.errors import InvalidRequest, Refusal, Unavailable
from identity.model.tenant import Tenant
from identity.oauth.form import read_basic, read_form, tried_basic

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class OAuthCall:
    """``facts`` is what was read in the one statement of this request; ``client`` who was authenticated by it."""

    runtime: Runtime
    tenant: Tenant
    issuer: Issuer
    form: Mapping[str, str]
    credential: Credential
    now: datetime
    tx: Tx
    facts: Any = None
    client: Client | None = None

    def authenticate(self, common: CommonFacts) -> Client:
        """Authenticate the client on what was read. Raises ``InvalidClient``, ``Unavailable``."""
        if common.cut_off is not None and self.now <= common.cut_off:  # a token of now would be dead at once
            raise Unavailable("this tenant was restored a moment ago; try again in half a minute", reason="restored")
        client = authenticate_client(
            common,
            self.credential,
            keys=self.runtime.client_keys,
            tenant_id=self.tenant.id,
            is_spent_here=g.get("assertion_is_spent", False),
        )
        self.client = client
        name_caller(self.caller)
        return client

    @property
    def caller(self) -> Caller:
        """Who asks, as far as it is proved."""
        return anonymous() if self.client is None else caller_of(self.client.client_id, request_id())


def present_call() -> OAuthCall:
    """Return the call that is being answered."""
    found: OAuthCall = g.oauth_call
    return found


@contextmanager
def oauth_call(slug: str) -> Iterator[OAuthCall]:
    """Open one request to the token service of one tenant: form rules, credential, transaction.

    From when the client is proved, whatever ends the transaction commits: the use of its assertion stays (RFC 7523 §3,
    jti), with the event of a refusal. Nothing else was written then, for a token is written in one statement or not.
    """
    tenant, shared = tenant_of(slug), runtime()
    with refusals_audited("oauth", tenant.id, anonymous, is_recorded=is_recorded):
        now = shared.clock()
        form = read_form()
        issuer = issuer_for(tenant)
        credential = read_credential(form, issuer.identifier, now)
        with open_transaction(tenant.id, is_brief=True) as tx:
            call = g.oauth_call = OAuthCall(shared, tenant, issuer, form, credential, now, tx)
            with outcome_kept(call) as kept:
                yield call
        if kept:
            raise kept[0]


@contextmanager
def outcome_kept(call: OAuthCall) -> Iterator[list[Exception]]:
    """Hold back what ends the request of a proved client until its transaction is committed."""
    kept: list[Exception] = []
    try:
        yield kept
    except Unavailable:
        raise  # nothing was decided; the client shall try again, with the same assertion
    except Refusal as refusal:
        if call.client is None:
            raise
        record_refused(call, refusal)
        kept.append(refusal)
    except UpstreamKeysNeeded as needed:
        g.assertion_is_spent = True
        kept.append(needed)


def record_refused(call: OAuthCall, refusal: Refusal) -> None:
    """Write the event of a refusal into the transaction that it ends."""
    record_refusal(call.tx, "oauth", refusal, detail=refusal_detail(refusal), caller=call.caller, now=call.now)
    g.recorded_refusal = refusal


def is_recorded(refusal: Refusal) -> bool:
    """Return whether the event of a refusal has been committed with the request."""
    return g.get("recorded_refusal") is refusal


def answered_with_keys(slug: str, answer: Callable[[], Response]) -> Response:
    """Answer, and answer again where keys of an upstream issuer had to be fetched in between."""
    try:
        with upstream_keys_fetched(slug):
            return answer()
    except UpstreamKeysNeeded:
        try:
            return answer()
        except UpstreamKeysNeeded:
            raise Unavailable("the upstream issuer's keys cannot be had", reason="upstream_keys_unavailable") from None


@contextmanager
def upstream_keys_fetched(slug: str) -> Iterator[None]:
    """Fetch an upstream issuer's keys when an answer needs them, with no transaction open; then ask to be run again."""
    try:
        yield
    except UpstreamKeysNeeded as needed:
        shared = runtime()
        shared.upstream_keys.refresh(tenant_of(slug).id, needed.connection, shared.clock())
        raise


def read_credential(form: Mapping[str, str], issuer: str, now: datetime) -> Credential:
    """Return how the client authenticates: exactly one way (RFC 6749 §2.3).

    Raises ``InvalidClient``, ``InvalidRequest``.
    """
    basic = read_basic()
    try:
        return _credential(form, basic, issuer, now)
    except InvalidClient as refusal:
        refusal.claims(_claimed(form, basic))
        raise


def _claimed(form: Mapping[str, str], basic: tuple[str, str] | None) -> str | None:
    """Return the client id that a request names; a secret that stands in its place, too, is not one."""
    client_id, secret = (form.get("client_id"), form.get("client_secret")) if "client_id" in form else basic or ("", "")
    return None if client_id == secret else client_id


def _credential(form: Mapping[str, str], basic: tuple[str, str] | None, issuer: str, now: datetime) -> Credential:
    assertion, secret = form.get("client_assertion"), form.get("client_secret")
    if [tried_basic(), assertion is not None, secret is not None].count(True) > 1:
        raise InvalidRequest("a client authenticates in one way only", reason="two_credentials")
    if assertion is not None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidRequest("client_assertion_type is not known here", reason="client_assertion_type")
        return _same_client(form, parse_assertion(assertion, issuer, now))
    if secret is not None:
        if "client_id" not in form:
            raise InvalidClient("client_id_missing")
        return parse_secret(form["client_id"], secret, AuthMethod.CLIENT_SECRET_POST)
    if basic is None:
        raise InvalidClient("credential_missing")
    return _same_client(form, parse_secret(*basic, AuthMethod.CLIENT_SECRET_BASIC))


def _same_client(form: Mapping[str, str], credential: SecretCredential | AssertionCredential) -> Credential:
    if form.get("client_id", credential.client_id) != credential.client_id:
        raise InvalidClient("client_id_differs", claimed=credential.claimed)
    return credential
