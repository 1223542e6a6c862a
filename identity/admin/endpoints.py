"""Every operation of the admin API, declared once: its route, what it reads and what the OpenAPI document says of it.

A general generator (spectree) was weighed and left: it reads and refuses requests by itself, before the caller is
known and outside of the audit trail, and takes the last of two members with one name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from flask import Blueprint, Response
from pydantic import BaseModel

from identity.actions.idempotency import Answer, IdempotentRequest, claim_key, keep_answer
from identity.admin.parsing import idempotency_key, parse_body, parse_query, read_json_body
from identity.admin.requests import Nothing
from identity.edge.audit import refusals_audited
from identity.edge.authentication import administrator_required
from identity.edge.call import Call, tenant_of
from identity.edge.public_documents import METHODS, open_to_scripts
from identity.edge.runtime import open_transaction, runtime
from identity.model.access import Caller
from identity.model.errors import NotFound
from identity.model.ids import PLATFORM, parse_id
from identity.model.tenant import Tenant

Method = Literal["GET", "POST", "PATCH", "DELETE"]
View = Callable[..., BaseModel | None]

NAMES = frozenset({"tenant", "kid", "kind", "schema", "resource_type"})
"""Path parameters that are words; every other one is an id."""

ID_SHOWN_MAX = 64

blueprint = Blueprint("admin", __name__, url_prefix="/admin/v1")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``is_public`` is a public document: it needs no token and opens no transaction."""

    method: Method
    path: str
    name: str
    summary: str
    view: View
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    answer: type[BaseModel] | None
    status: int
    is_public: bool

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


OPERATIONS: list[Operation] = []


def operation(
    method: Method,
    path: str,
    *,
    answer: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    status: int = 200,
    is_public: bool = False,
) -> Callable[[View], View]:
    """Serve ``path`` with the decorated ``view(call, [body or query,] **ids)``, which returns what is answered."""

    def declare(view: View) -> View:
        name = view.__name__.rstrip("_")  # a view may be called like the verb that it calls
        summary = (view.__doc__ or "").strip().splitlines()[0].rstrip(".")
        declared = Operation(
            method,
            path,
            name,
            summary,
            view,
            body,
            query,
            answer,
            204 if answer is None else status,
            is_public,
        )
        OPERATIONS.append(declared)
        blueprint.add_url_rule(
            path.replace("{", "<").replace("}", ">"),
            endpoint=name,
            view_func=open_to_scripts(_serving(declared)) if is_public else _serving(declared),
            methods=METHODS if is_public else [method],
            provide_automatic_options=False,
        )
        return view

    return declare


def _serving(declared: Operation) -> Callable[..., Response]:
    def serve(**path: str) -> Response:
        if declared.is_public:
            return _response(declared, _answer(declared, declared.view(**path)))
        with administrator_required() as caller:
            return _serve(declared, path, caller)

    return serve


def _serve(declared: Operation, path: dict[str, str], caller: Caller) -> Response:
    tenant = _tenant_named(path.pop("tenant", None), caller)
    tenant_id = PLATFORM if tenant is None else tenant.id
    with refusals_audited("admin", tenant_id, caller):
        body = read_json_body() if declared.method != "GET" else b"{}"
        once = idempotency_key(body) if declared.method == "POST" else None
        asked = _asked(declared, body)
        names: dict[str, Any] = {name: value if name in NAMES else _id(name, value) for name, value in path.items()}
        # The request has been read whole by now: no slow sender can hold a transaction open.
        with open_transaction(tenant_id) as tx:
            call = Call(tx, caller, runtime().clock(), tenant)
            return _answer_once(declared, call, once, lambda: declared.view(call, *asked, **names))


def _tenant_named(slug: str | None, caller: Caller) -> Tenant | None:
    if slug is None:
        return None
    with refusals_audited("admin", PLATFORM, caller):
        return tenant_of(slug)


def _asked(declared: Operation, body: bytes) -> tuple[BaseModel, ...]:
    query = parse_query(declared.query or Nothing)
    read = parse_body(declared.body or Nothing, body)
    return tuple(model for model in (read, query) if not isinstance(model, Nothing))


def _id(name: str, text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        noun = "task" if name == "txn" else name.removesuffix("_id").replace("_", " ")
        raise NotFound(f"there is no {noun} with the id {text[:ID_SHOWN_MAX]!a}")
    return found


def _answer_once(
    declared: Operation, call: Call, once: IdempotentRequest | None, view: Callable[[], BaseModel | None]
) -> Response:
    if once is None:
        return _response(declared, _answer(declared, view()))
    kept = claim_key(call.tx, once, encryption=runtime().encryption, caller=call.caller, now=call.now)
    if kept is not None:
        response = _response(declared, kept)
        response.headers["Idempotency-Replayed"] = "true"
        return response
    answer = _answer(declared, view())
    keep_answer(call.tx, once, answer, encryption=runtime().encryption, caller=call.caller)
    return _response(declared, answer)


def _answer(declared: Operation, answered: BaseModel | None) -> Answer:
    if answered is None:
        return Answer(declared.status, b"")
    return Answer(declared.status, answered.model_dump_json(exclude_unset=True).encode())


def _response(declared: Operation, answer: Answer) -> Response:
    if declared.answer is None:
        return Response(status=answer.status)
    return Response(answer.body, status=answer.status, content_type="application/json")
