"""Do the operations of a Bulk, each authorised, atomic and reported by itself (RFC 7644 §3.7).

Each has a transaction of its own (a circle of references has one together), so what was reported is kept, no lock is
held longer than by a single request, and after a crash a part of the Bulk was done: whole operations, from the front.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from identity.actions.audit import record_refusal
from identity.actions.authentication import authenticate_connection
from identity.http import Call, anonymous, house, open_transaction, request_id
from identity.model.access import Caller
from identity.model.errors import Conflict, Refusal, Unavailable
from identity.model.ids import TenantId
from identity.model.principal import Resource
from scim import operations
from scim.bulk import BULK_ID, Bulk, BulkOperation, references_in, resolved, units_of, unknown_reference
from scim.endpoints import Endpoints
from scim.errors import error_body, render_refusal
from scim.journal import Entry, entry_of_operation, noting, write_done, write_fault, write_refusal
from scim.projection import Projection
from scim.resources import etag
from scim.schemas import ResourceType

RESPONSE_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
NO_MEMBERS = Projection(excluded=frozenset({("members",)}))
UNAVAILABLE_MAX = 3  # operations in a row that the database did not answer; then the others are not tried
STATUSES = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}

Json = dict[str, Any]
log = structlog.get_logger("scim")


@dataclass(slots=True)
class BulkWork:
    """One Bulk on its way: ``ids`` of what its POSTs created, ``reports`` by the place of an operation."""

    tenant_id: TenantId
    token: str
    endpoints: Endpoints
    bulk: Bulk
    caller: Caller = field(default_factory=anonymous)
    ids: dict[str, str] = field(default_factory=dict)
    reports: dict[int, Json] = field(default_factory=dict)
    errors: int = 0
    unavailable: int = 0

    def do(self) -> Json:
        """Do what can be done; return the BulkResponse, in the order of the request."""
        for unit in units_of(self.bulk.operations):
            if self.bulk.fail_on_errors is not None and self.errors >= self.bulk.fail_on_errors:
                break
            self._do_unit(unit)
        reports = [self.reports[place] for place in sorted(self.reports)]
        return {"schemas": [RESPONSE_SCHEMA], "Operations": reports}

    def _do_unit(self, unit: tuple[BulkOperation, ...]) -> None:
        current = unit[0]

        def now_at(operation: BulkOperation) -> None:
            nonlocal current
            current = operation

        try:
            for operation in unit:
                now_at(operation)
                self._check(operation)
            found = self._circle(unit, now_at) if _is_circle(unit) else {unit[0].place: self._single(unit[0])}
        except Refusal as refusal:
            self._refused(unit, current, refusal)
        except Exception as fault:  # what was done before is kept, and must be reported: no fault may swallow it
            log.exception("scim_bulk_fault", exc_info=fault)
            write_fault(_entry(current), self.tenant_id, self.caller)
            self._failed(unit, current, error_body(500, "this is our fault; it has been logged"), 500)
        else:
            self.unavailable = 0
            for operation in unit:
                self._succeeded(operation, found[operation.place])

    def _check(self, operation: BulkOperation) -> None:
        if self.unavailable >= UNAVAILABLE_MAX:
            raise Unavailable("the database does not answer; this was not tried")
        fault = operation.fault or unknown_reference(operation, self.bulk.operations)
        if fault is not None:
            raise fault

    def _check_made(self, operation: BulkOperation, within: frozenset[str] = frozenset()) -> None:
        missing = sorted(operation.references - self.ids.keys() - within)
        if missing:
            raise Conflict(f"it refers to {BULK_ID}{missing[0]:.64}, which was not created", reason="bulk_reference")

    # --- transactions ---

    @contextmanager
    def _call(self) -> Iterator[Call]:
        """Open the transaction of one operation; who calls is looked up again, for a token may end in between."""
        with open_transaction(self.tenant_id) as tx:
            now = house().clock()
            self.caller = authenticate_connection(tx, self.token, request_id=request_id(), now=now)
            yield Call(tx, self.caller, now)

    def _single(self, operation: BulkOperation) -> Resource | None:
        self._check_made(operation)
        body = resolved(operation.body, self.ids)
        entry = _entry(operation)
        with noting(entry), self._call() as call:
            found = self._done(call, operation, body)
            write_done(entry, call)
            return found

    def _done(self, call: Call, operation: BulkOperation, body: Json) -> Resource | None:
        type_ = _type_of(operation)
        if operation.method == "POST":
            return operations.create(call, type_, body, NO_MEMBERS)
        id_ = self._resource_id(operation)
        match operation.method:
            case "PUT":
                return operations.replace(call, type_, id_, body, operation.version, NO_MEMBERS)
            case "PATCH":
                return operations.patch(call, type_, id_, body, operation.version, NO_MEMBERS)[0]
        operations.delete(call, type_, id_, operation.version)
        return None

    def _circle(
        self, unit: tuple[BulkOperation, ...], now_at: Callable[[BulkOperation], None]
    ) -> Mapping[int, Resource | None]:
        """Create everybody without those who are not there yet, then name them: all in one transaction.

        Users first: an agent is never without the owners that it shall have.
        """
        names = frozenset(operation.bulk_id or "" for operation in unit)
        ordered = sorted(unit, key=lambda operation: _type_of(operation).kind.place)
        found: dict[int, Resource | None] = {}
        entries = {operation.place: _entry(operation) for operation in ordered}
        with self._call() as call:
            made = dict(self.ids)
            for operation in ordered:
                now_at(operation)
                self._check_made(operation, names)
                body = resolved(operation.body, made, names - made.keys())
                with noting(entries[operation.place]):
                    resource = operations.create(call, _type_of(operation), body, NO_MEMBERS)
                found[operation.place], made[operation.bulk_id or ""] = resource, str(resource.principal.id)
            for operation in ordered:
                now_at(operation)
                if names & set(references_in(operation.body)):
                    body, id_ = resolved(operation.body, made), made[operation.bulk_id or ""]
                    with noting(entries[operation.place]):
                        resource = operations.replace(call, _type_of(operation), id_, body, None, NO_MEMBERS)
                    found[operation.place] = resource
            for entry in entries.values():
                write_done(entry, call)
        return found

    # --- reports ---

    def _resource_id(self, operation: BulkOperation) -> str:
        return str(resolved(operation.resource_id, self.ids, key="$ref"))

    def _succeeded(self, operation: BulkOperation, resource: Resource | None) -> None:
        report = self._report(operation, STATUSES[operation.method])
        if resource is not None:
            report["location"] = self.endpoints.location_at(_type_of(operation), resource.principal.id)
            report["version"] = etag(resource.principal)
        if resource is not None and operation.method == "POST":
            self.ids[operation.bulk_id or ""] = str(resource.principal.id)
        self.reports[operation.place] = report

    def _refused(self, unit: tuple[BulkOperation, ...], at: BulkOperation, refusal: Refusal) -> None:
        try:
            self._record(at, refusal)
        except Unavailable as silence:
            refusal = silence  # what cannot be recorded is not refused: it may be asked again
        body, status = render_refusal(refusal)
        self._failed(unit, at, body, status)
        self.unavailable = self.unavailable + 1 if isinstance(refusal, Unavailable) else 0

    def _record(self, at: BulkOperation, refusal: Refusal) -> None:
        if isinstance(refusal, Unavailable):
            return  # nothing was decided, and the trail may be what does not answer
        detail = {"method": at.method[:16], "endpoint": "scim.bulk", "code": refusal.code, "operation": at.place}
        with open_transaction(self.tenant_id) as tx:
            now = house().clock()
            record_refusal(tx, "scim", refusal, detail=detail, caller=self.caller, now=now)
            write_refusal(_entry(at), tx, refusal, self.caller, now)

    def _failed(self, unit: tuple[BulkOperation, ...], at: BulkOperation, body: Json, status: int) -> None:
        for operation in unit:
            report = self._report(operation, str(status))
            report["response"] = body
            if operation is not at:
                named = f"{BULK_ID}{(at.bulk_id or '')[:64]}"
                report["status"] = "409"
                report["response"] = error_body(409, f"it and {named} refer to each other, and that was refused")
            self.reports[operation.place] = report
            self.errors += 1

    def _report(self, operation: BulkOperation, status: str) -> Json:
        report: Json = {"method": operation.method, "status": status}
        if operation.bulk_id is not None:
            report["bulkId"] = operation.bulk_id
        if operation.type is not None and operation.resource_id is not None:
            known = not operation.references or operation.references <= self.ids.keys()
            id_ = self._resource_id(operation) if known else operation.resource_id
            report["location"] = self.endpoints.location_at(operation.type, id_)
        return report


def _is_circle(unit: tuple[BulkOperation, ...]) -> bool:
    return len(unit) > 1 or (unit[0].method == "POST" and unit[0].bulk_id in unit[0].references)


def _entry(operation: BulkOperation) -> Entry:
    return entry_of_operation(operation.method, operation.type, operation.resource_id, operation.body)


def _type_of(operation: BulkOperation) -> ResourceType:
    if operation.type is None:
        raise AssertionError("an operation without a type has a fault")
    return operation.type
