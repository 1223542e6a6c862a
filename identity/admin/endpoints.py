"""Every operation of the admin API, declared once: its route, its request and response models, its OpenAPI summary.

``get``, ``listing``, ``post``, ``patch`` and ``delete`` declare an operation that calls one action of the core. The
decorator ``operation`` declares one that prepares more: a new secret, a URL of the installation, another order.

A general generator (spectree) was weighed and left: it reads and refuses requests by itself, before the caller is
known and outside of the audit log, and takes the last of two members with one name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal
from uuid import UUID

from flask import Blueprint, Response
from pydantic import BaseModel, TypeAdapter

from identity.actions.idempotency import IdempotentRequest, StoredResponse, claim_key, store_response
from identity.admin.paging import BY_ID, Action, Cursor, read_page
from identity.admin.parsing import expected_version, idempotency_key, parse_body, parse_query, read_json_body
from identity.admin.requests import Change, Nothing, Page
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
View = Callable[..., Any]
Model = type[BaseModel]

NAMES = frozenset({"tenant", "kid", "kind", "schema", "resource_type"})
"""Path parameters that are words; every other one is an id."""

ID_SHOWN_MAX = 64

blueprint = Blueprint("admin", __name__, url_prefix="/admin/v1")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``is_public`` is a public document: it needs no token and opens no transaction.

    ``view(call, [body, query,] **names)`` returns a value of the model that ``response`` reads; a sequence is a whole
    list.
    """

    method: Method
    path: str
    name: str
    summary: str
    view: View
    body: Model | None = None
    query: Model | None = None
    response: type | None = None
    status: int = 200
    is_public: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


OPERATIONS: list[Operation] = []


def operation(method: Method, path: str, **declared: Any) -> Callable[[View], View]:
    """Serve ``path`` with the decorated view; its name and docstring are the operation's. Takes Operation's members."""

    def declare(view: View) -> View:
        summary = (view.__doc__ or "").strip().splitlines()[0].rstrip(".")
        name = view.__name__.rstrip("_")  # a view may be called like the action that it calls
        _register(Operation(method, path, name, summary, view, **declared))
        return view

    return declare


def listing(
    path: str, action: Action, summary: str, response: type, *, query: type[Page] = Page, cursor: Cursor = BY_ID
) -> None:
    """Serve one page of the rows that ``action(tx, *names, **filters, after=, limit=)`` returns."""

    def view(call: Call, page: Page, **names: object) -> dict[str, Any]:
        return read_page(call, page, action, *names.values(), cursor=cursor)

    name = "list_" + path.rsplit("/", 1)[-1].replace("-", "_")
    _register(Operation("GET", path, name, summary, view, query=query, response=response))


def get(path: str, action: Action, summary: str, response: type, *, name: str = "") -> None:
    """Serve what ``action(tx, *names)`` returns."""

    def view(call: Call, **names: object) -> Any:
        return action(call.tx, *names.values())

    _register(Operation("GET", path, name or action.__name__, summary, view, response=response))


def post(
    path: str,
    action: Action,
    summary: str,
    response: type,
    *,
    body: Model = Nothing,
    status: int = 200,
    name: str = "",
) -> None:
    """Serve what ``action(tx, *names, **members of the body, caller=, now=)`` returns."""
    _register(Operation("POST", path, name or action.__name__, summary, _view_of(action), body, None, response, status))


def delete(path: str, action: Action, summary: str, *, query: Model | None = None, name: str = "") -> None:
    """Call ``action(tx, *names, **members of the query, caller=, now=)``."""
    _register(Operation("DELETE", path, name or action.__name__, summary, _view_of(action), query=query, status=204))


def patch(path: str, action: Action, summary: str, response: type, *, body: type[Change], name: str = "") -> None:
    """Serve what ``action(tx, *names, changes, expected_version=, caller=, now=)`` returns."""

    def view(call: Call, change: Change, **names: object) -> Any:
        version = expected_version()
        return action(
            call.tx, *names.values(), change.changes, expected_version=version, caller=call.caller, now=call.now
        )

    _register(Operation("PATCH", path, name or action.__name__, summary, view, body, response=response))


def _view_of(action: Action) -> View:
    def view(call: Call, *requested: BaseModel, **names: object) -> Any:
        members = {name: value for model in requested for name, value in model}
        return action(call.tx, *names.values(), **members, caller=call.caller, now=call.now)

    return view


def _register(declared: Operation) -> None:
    OPERATIONS.append(declared)
    serve = _serving(declared)
    blueprint.add_url_rule(
        declared.path.replace("{", "<").replace("}", ">"),
        endpoint=declared.name,
        view_func=open_to_scripts(serve) if declared.is_public else serve,
        methods=METHODS if declared.is_public else [declared.method],
        provide_automatic_options=False,
    )


def _serving(declared: Operation) -> Callable[..., Response]:
    def serve(**path: str) -> Response:
        if declared.is_public:
            return _response(declared, _rendered(declared, declared.view(**path)))
        with administrator_required() as caller:
            return _serve(declared, path, caller)

    return serve


def _serve(declared: Operation, path: dict[str, str], caller: Caller) -> Response:
    tenant = _tenant_named(path.pop("tenant", None), caller)
    tenant_id = PLATFORM if tenant is None else tenant.id
    with refusals_audited("admin", tenant_id, caller):
        body = read_json_body() if declared.method != "GET" else b"{}"
        idempotent = idempotency_key(body) if declared.method == "POST" else None
        requested = _requested(declared, body)
        names = {name: value if name in NAMES else _id(name, value) for name, value in path.items()}
        # The request has been read whole by now: no slow sender can hold a transaction open.
        with open_transaction(tenant_id) as tx:
            call = Call(tx, caller, runtime().clock(), tenant)
            if idempotent is None:
                return _response(declared, _rendered(declared, declared.view(call, *requested, **names), call))
            return _serve_once(declared, call, idempotent, requested, names)


def _serve_once(
    declared: Operation,
    call: Call,
    idempotent: IdempotentRequest,
    requested: tuple[BaseModel, ...],
    names: dict[str, str | UUID],
) -> Response:
    stored = claim_key(call.tx, idempotent, encryption=runtime().encryption, caller=call.caller, now=call.now)
    if stored is not None:
        replayed = _response(declared, stored)
        replayed.headers["Idempotency-Replayed"] = "true"
        return replayed
    rendered = _rendered(declared, declared.view(call, *requested, **names), call)
    store_response(call.tx, idempotent, rendered, encryption=runtime().encryption, caller=call.caller)
    return _response(declared, rendered)


def _tenant_named(slug: str | None, caller: Caller) -> Tenant | None:
    if slug is None:
        return None
    with refusals_audited("admin", PLATFORM, caller):
        return tenant_of(slug)


def _requested(declared: Operation, body: bytes) -> tuple[BaseModel, ...]:
    query = parse_query(declared.query or Nothing)
    parsed = parse_body(declared.body or Nothing, body)
    return tuple(model for model in (parsed, query) if not isinstance(model, Nothing))


def _id(name: str, text: str) -> UUID | str:
    found = parse_id(text)
    if found is None:
        noun = "task" if name == "txn" else name.removesuffix("_id").replace("_", " ")
        raise NotFound(f"there is no {noun} with the id {text[:ID_SHOWN_MAX]!a}")
    return str(found) if name == "client_id" else found  # text in the protocol (RFC 6749 §2.2)


def _rendered(declared: Operation, value: Any, call: Call | None = None) -> StoredResponse:
    if declared.response is None:
        return StoredResponse(declared.status, b"")
    members = {"items": value, "next_cursor": None} if isinstance(value, list | tuple) else value
    adapter = _adapter_of(declared.response)
    read = adapter.validate_python(members, context=call)
    return StoredResponse(declared.status, adapter.dump_json(read, exclude_unset=True))


@cache
def _adapter_of(response: type) -> TypeAdapter[Any]:
    return TypeAdapter(response)


def _response(declared: Operation, rendered: StoredResponse) -> Response:
    content_type = None if declared.response is None else "application/json"
    return Response(rendered.body, status=rendered.status, content_type=content_type)
