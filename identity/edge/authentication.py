"""The caller of a request: anonymous until it is authenticated."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from identity.actions.authentication import authenticate_administrator
from identity.edge.audit import refusals_audited
from identity.edge.request import bearer_token, request_id
from identity.edge.runtime import runtime
from identity.model.access import Caller, CallerKind
from identity.model.ids import PLATFORM


def anonymous() -> Caller:
    """Return the caller of a request that is not authenticated."""
    return Caller(CallerKind.ANONYMOUS, None, request_id())


def name_caller(caller: Caller) -> Caller:
    """Bind the kind and the id of the caller to the log lines of this request; return the caller."""
    structlog.contextvars.bind_contextvars(caller=f"{caller.kind}:{caller.id}")
    return caller


@contextmanager
def administrator_required() -> Iterator[Caller]:
    """Authenticate an administrator. The event of a refusal is the platform's: no tenant is known."""
    with refusals_audited("admin", PLATFORM, anonymous()):
        caller = authenticate_administrator(bearer_token(), runtime().admin_token_hash, request_id=request_id())
    yield name_caller(caller)
