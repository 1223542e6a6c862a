"""The pipeline of the token, introspection and revocation endpoints: numbered steps, the same for each."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from flask import Response, json

from identity.actions.client_authentication import ClientLookup, CommonFacts, authenticate_client, caller_of
from identity.actions.issuance import ClientCall
from identity.actions.upstream import UpstreamKeysNeeded
from identity.edge.audit import Audit, refusals_audited
from identity.edge.authentication import anonymous, name_caller
from identity.edge.call import issuer_for, tenant_of
from identity.edge.request import request_id
from identity.edge.runtime import Tx, open_transaction, runtime
from identity.model.errors import Refusal, Unavailable
from identity.model.tenant import Tenant
from identity.oauth.credentials import read_credential
from identity.oauth.form import Form, read_form

HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache"}


class Facts(Protocol):
    """The facts of any request. They include those that its client is authenticated on."""

    @property
    def common(self) -> CommonFacts:
        """The client, its keys and its tenant."""


FactsRead = TypeVar("FactsRead", bound=Facts)


class Operation(ABC, Generic[FactsRead]):
    """One parsed form: a grant, an introspection or a revocation. Its methods are its answers to the pipeline."""

    @abstractmethod
    def read(self, tx: Tx, client: ClientLookup, issuer: str, now: datetime) -> FactsRead:
        """Read every fact that it is decided on, in one statement."""

    @abstractmethod
    def perform(self, call: ClientCall, facts: FactsRead) -> Mapping[str, Any]:
        """Decide and write. Return the members of the answer, or raise a refusal."""


def answer(slug: str, parse: Callable[[Form], Operation[FactsRead]]) -> Response:
    """Answer one request in one transaction, or in two with the keys of an upstream issuer fetched in between.

    Raises the refusals of its steps, each with its event in the audit log.
    """
    tenant, shared = tenant_of(slug), runtime()
    issuer = issuer_for(tenant)
    with refusals_audited("oauth", tenant.id, anonymous()) as audit:
        # 1. Read the form.
        form = read_form()
        for is_second in (False, True):
            # 2. Parse the client's credential and the request.
            now = shared.clock()
            credential = read_credential(form, issuer.identifier, now)
            operation = parse(form)
            with open_transaction(tenant.id, is_brief=True) as tx:
                # 3. Read every fact, and spend the client's assertion.
                facts = operation.read(tx, credential.lookup, issuer.identifier, now)
                # 4. Authenticate the client.
                client = authenticate_client(
                    facts.common, credential, shared.client_keys, tenant.id, now, is_spent_here=is_second
                )
                audit.caller = name_caller(caller_of(client.client_id, request_id()))
                call = ClientCall(tx, client, issuer, shared.upstream_keys, audit.caller, now)
                # 5. Decide and write.
                outcome = _perform(operation, call, facts, audit)
            if isinstance(outcome, Refusal):
                raise outcome
            if not isinstance(outcome, UpstreamKeysNeeded):
                # 6. Answer.
                return Response(json.dumps(outcome), headers=HEADERS)
            fetch_keys(tenant, outcome, is_second=is_second)
    raise AssertionError("the second attempt is the last")


def _perform(
    operation: Operation[FactsRead], call: ClientCall, facts: FactsRead, audit: Audit
) -> Mapping[str, Any] | Refusal | UpstreamKeysNeeded:
    """Return the answer, or the exception that ends the attempt of a proved client: as a value, so that its transaction
    commits. It holds the use of the assertion (RFC 7523 §3) and the event of a refusal, and no token.
    """
    try:
        return operation.perform(call, facts)
    except Unavailable:
        raise  # nothing was decided: the client may try again, with the same assertion
    except Refusal as refusal:
        audit.record(call.tx, refusal, call.now)
        return refusal
    except UpstreamKeysNeeded as needed:
        return needed


def fetch_keys(tenant: Tenant, needed: UpstreamKeysNeeded, *, is_second: bool) -> None:
    """Fetch the keys of an upstream issuer, with no transaction open. Raises ``Unavailable`` after a second attempt."""
    if is_second:
        raise Unavailable("the upstream issuer's keys cannot be had", reason="upstream_keys_unavailable")
    shared = runtime()
    shared.upstream_keys.refresh(tenant.id, needed.connection, shared.clock())
