"""Do the operations of a Bulk, each authorised, atomic and reported by itself (RFC 7644 §3.7).

Each has a transaction of its own (a circle of references has one together), so what was reported is kept, no lock is
held longer than by a single request, and after a crash a part of the Bulk was done: whole operations, from the front.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from identity.actions.audit import record_refusal
from identity.edge.audit import log_unavailable
from identity.edge.call import Call
from identity.edge.runtime import Tx
from identity.model.access import Caller
from identity.model.errors import Conflict, RateLimited, Refusal, Unavailable
from identity.model.principal import Resource
from identity.model.work import Work
from scim import operations
from scim.bulk.request import BULK_ID, Bulk, BulkOperation, references_in, resolved, units_of, unknown_reference
from scim.conditions import Conditions
from scim.errors import error_body, render_refusal
from scim.limits import BULK_WORK_MAX
from scim.provisioning_log import Entry, entry_of_operation, noting, write_done, write_fault, write_refusal
from scim.resource.locations import Endpoints
from scim.resource.projection import Projection
from scim.schema.catalogue import catalogue_of
from scim.schema.resource_types import ResourceType

TOO_MUCH = f"the PATCHes of a Bulk do at most {BULK_WORK_MAX} units of work together; send fewer at a time"
RESPONSE_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
NO_MEMBERS = Projection(excluded=frozenset({("members",)}))
UNAVAILABLE_MAX = 3  # operations in a row that the database did not answer; then the others are not tried
STATUSES = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}

Json = dict[str, Any]
log = structlog.get_logger("scim")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one operation, as it is answered."""

    operation: BulkOperation
    body: Json
    resource: Resource | None = None


def keep_nothing(_tx: Tx, _caller: Caller, _reports: Sequence[Report], _now: datetime) -> None:
    """Whoever waits for the answer gets the reports in it."""


@dataclass(frozen=True, slots=True)
class BulkContext:
    """On what the operations are done. ``who`` looks up for each of them who calls, for that may end in between.

    ``keep`` writes reports in the transaction of what they report. Where nobody waits for the answer (``is_awaited``
    is false), an operation that the database does not answer raises, to be tried again, instead of being reported.
    ``prefix`` stands before the paths of the operations in the provisioning log. ``interrupts`` end the whole work, and
    are no fault of the operation that they come upon.
    """

    begin: Callable[[], AbstractContextManager[Tx]]
    clock: Callable[[], datetime]
    who: Callable[[Tx, BulkOperation, datetime], Caller]
    keep: Callable[[Tx, Caller, Sequence[Report], datetime], None] = keep_nothing
    is_awaited: bool = True
    prefix: str = "/Bulk"
    interrupts: tuple[type[Exception], ...] = ()


def bulk_response(reports: Mapping[int, Json]) -> Json:
    """Return the BulkResponse (RFC 7644 §3.7.3), in the order of the request."""
    return {"schemas": [RESPONSE_SCHEMA], "Operations": [reports[place] for place in sorted(reports)]}


@dataclass(slots=True)
class BulkWork:
    """One Bulk on its way: ``ids`` of what its POSTs created, ``reports`` by the place of an operation.

    ``work`` is what is left of what its PATCHes may cost together.
    """

    ground: BulkContext
    endpoints: Endpoints
    bulk: Bulk
    caller: Caller
    ids: dict[str, str] = field(default_factory=dict)
    reports: dict[int, Json] = field(default_factory=dict)
    work: Work = field(default_factory=lambda: Work(BULK_WORK_MAX, TOO_MUCH))
    errors: int = 0
    unavailable: int = 0

    def do(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Do what can be done and is not done yet, in whole units; return False when it ended because of ``until``."""
        for unit in units_of(self.bulk.operations):
            if self.bulk.fail_on_errors is not None and self.errors >= self.bulk.fail_on_errors:
                break
            left = tuple(operation for operation in unit if operation.place not in self.reports)
            if not left:
                continue
            if until():
                return False
            self._do_unit(left)
        return True

    def remember(self, reports: Mapping[int, Json]) -> None:
        """Take over what is known of operations that were done before."""
        for place, report in reports.items():
            self._take(self.bulk.operations[place], report)

    def _take(self, operation: BulkOperation, report: Json) -> None:
        self.reports[operation.place] = report
        is_done = report["status"] == STATUSES.get(operation.method)
        self.errors += not is_done
        if is_done and operation.method == "POST":
            self.ids[operation.bulk_id or ""] = report["location"].rsplit("/", 1)[-1]

    def _do_unit(self, unit: tuple[BulkOperation, ...]) -> None:
        current = unit[0]

        def now_at(operation: BulkOperation) -> None:
            nonlocal current
            current = operation

        try:
            for operation in unit:
                now_at(operation)
                self._check(operation)
            reports = self._circle(unit, now_at) if _is_circle(unit) else self._single(unit[0])
        except self.ground.interrupts:
            raise
        except Refusal as refusal:
            reports = self._refused(unit, current, refusal)
        except Exception as fault:  # what was done before is kept, and must be reported: no fault may swallow it
            log.exception("scim_bulk_fault", exc_info=fault)
            reports = self._fault(unit, current)
        else:
            self.unavailable = 0
        for report in reports:
            self._take(report.operation, report.body)

    def _check(self, operation: BulkOperation) -> None:
        if self.unavailable >= UNAVAILABLE_MAX:
            raise Unavailable("the database does not answer; the operation was not tried")
        fault = operation.fault or unknown_reference(operation, self.bulk.operations)
        if fault is not None:
            raise fault

    def _check_made(self, operation: BulkOperation, within: frozenset[str] = frozenset()) -> None:
        missing = sorted(operation.references - self.ids.keys() - within)
        if missing:
            raise Conflict(
                f"the operation refers to {BULK_ID}{missing[0]:.64}, which was not created", reason="bulk_reference"
            )

    # --- transactions ---

    @contextmanager
    def _call(self, operation: BulkOperation) -> Iterator[Call]:
        with self.ground.begin() as tx:
            now = self.ground.clock()
            self.caller = self.ground.who(tx, operation, now)
            yield Call(tx, self.caller, now)

    def _single(self, operation: BulkOperation) -> list[Report]:
        self._check_made(operation)
        body = resolved(operation.body, self.ids) if operation.references else operation.body
        entry = self._entry(operation)
        with noting(entry), self._call(operation) as call:
            reports = [self._success(operation, self._done(call, operation, body))]
            self.ground.keep(call.tx, call.caller, reports, call.now)
            write_done(entry, call)
        return reports

    def _done(self, call: Call, operation: BulkOperation, body: Json) -> Resource | None:
        type_ = _present_type(call, operation)
        if operation.method == "POST":
            return operations.create(call, type_, body, NO_MEMBERS)
        id_ = self._resource_id(operation)
        match operation.method:
            case "PUT":
                return operations.replace(call, type_, id_, body, Conditions(operation.version), NO_MEMBERS)
            case "PATCH":
                conditions = Conditions(operation.version)
                return operations.patch(call, type_, id_, body, conditions, NO_MEMBERS, within=self.work)[0]
        operations.delete(call, type_, id_, Conditions(operation.version))
        return None

    def _circle(self, unit: tuple[BulkOperation, ...], now_at: Callable[[BulkOperation], None]) -> list[Report]:
        """Create everybody without those who are not there yet, then name them: all in one transaction.

        Users first: an agent is never without the owners that it shall have.
        """
        names = frozenset(operation.bulk_id or "" for operation in unit)
        ordered = sorted(unit, key=lambda operation: _type_of(operation).kind.place)
        found: dict[int, Resource | None] = {}
        entries = {operation.place: self._entry(operation) for operation in ordered}
        with self._call(unit[0]) as call:
            made = dict(self.ids)
            for operation in ordered:
                now_at(operation)
                self._check_made(operation, names)
                body = resolved(operation.body, made, names - made.keys())
                with noting(entries[operation.place]):
                    resource = operations.create(call, _present_type(call, operation), body, NO_MEMBERS)
                found[operation.place], made[operation.bulk_id or ""] = resource, str(resource.principal.id)
            for operation in ordered:
                now_at(operation)
                if names & set(references_in(operation.body)):
                    body, id_ = resolved(operation.body, made), made[operation.bulk_id or ""]
                    with noting(entries[operation.place]):
                        resource = operations.replace(
                            call, _present_type(call, operation), id_, body, Conditions(), NO_MEMBERS
                        )
                    found[operation.place] = resource
            reports = [self._success(operation, found[operation.place]) for operation in unit]
            self.ground.keep(call.tx, call.caller, reports, call.now)
            for entry in entries.values():
                write_done(entry, call)
        return reports

    # --- reports ---

    def _entry(self, operation: BulkOperation) -> Entry:
        return entry_of_operation(
            operation.method, operation.type, operation.resource_id, operation.body, prefix=self.ground.prefix
        )

    def _resource_id(self, operation: BulkOperation) -> str:
        return str(resolved(operation.resource_id, self.ids, key="$ref"))

    def _success(self, operation: BulkOperation, resource: Resource | None) -> Report:
        body = self._body(operation, STATUSES[operation.method])
        if resource is not None:
            body["location"] = self.endpoints.location_at(_type_of(operation), resource.principal.id)
            body["version"] = resource.principal.entity_tag
        return Report(operation, body, resource)

    def _refused(self, unit: tuple[BulkOperation, ...], at: BulkOperation, refusal: Refusal) -> list[Report]:
        reports = self._failures(unit, at, *render_refusal(refusal))
        try:
            self._record(at, refusal, reports)
        except (Unavailable, RateLimited) as silence:
            if not self.ground.is_awaited:
                raise
            refusal = silence  # what cannot be recorded is not refused: it may be asked again
            reports = self._failures(unit, at, *render_refusal(refusal))
        self.unavailable = self.unavailable + 1 if isinstance(refusal, Unavailable) else 0
        if 0 < self.unavailable <= UNAVAILABLE_MAX:
            log_unavailable(refusal)
        return reports

    def _record(self, at: BulkOperation, refusal: Refusal, reports: Sequence[Report]) -> None:
        if isinstance(refusal, Unavailable | RateLimited):
            raise refusal  # nothing was decided, and the trail may be what does not answer
        detail = {
            "method": at.method[:16],
            "endpoint": "scim.bulk.request",
            "code": refusal.code,
            "operation": at.place,
        }
        with self.ground.begin() as tx:
            now = self.ground.clock()
            self.ground.keep(tx, self.caller, reports, now)
            record_refusal(tx, "scim", refusal, detail=detail, caller=self.caller, now=now)
            write_refusal(self._entry(at), tx, refusal, self.caller, now)

    def _fault(self, unit: tuple[BulkOperation, ...], at: BulkOperation) -> list[Report]:
        reports = self._failures(unit, at, error_body(500, "internal error; it was logged"), 500)
        write_fault(self._entry(at), self.ground.begin, self.caller, self.ground.clock())
        if not self.ground.is_awaited:
            with self.ground.begin() as tx:
                self.ground.keep(tx, self.caller, reports, self.ground.clock())
        return reports

    def _failures(self, unit: tuple[BulkOperation, ...], at: BulkOperation, error: Json, status: int) -> list[Report]:
        named = f"{BULK_ID}{(at.bulk_id or '')[:64]}"
        along = error_body(409, f"the operation and {named} refer to each other, and {named} was refused")
        answers = {at.place: (str(status), error)}
        found = ((operation, *answers.get(operation.place, ("409", along))) for operation in unit)
        return [
            Report(operation, {**self._body(operation, status_), "response": response})
            for operation, status_, response in found
        ]

    def _body(self, operation: BulkOperation, status: str) -> Json:
        body: Json = {"method": operation.method, "status": status}
        if operation.bulk_id is not None:
            body["bulkId"] = operation.bulk_id
        if operation.type is not None and operation.resource_id is not None:
            known = not operation.references or operation.references <= self.ids.keys()
            id_ = self._resource_id(operation) if known else operation.resource_id
            body["location"] = self.endpoints.location_at(operation.type, id_)
        return body


def _is_circle(unit: tuple[BulkOperation, ...]) -> bool:
    return len(unit) > 1 or (unit[0].method == "POST" and unit[0].bulk_id in unit[0].references)


def _present_type(call: Call, operation: BulkOperation) -> ResourceType:
    """Return the type as the tenant defines it now: that may have changed since the Bulk came. Raises ``NotFound``."""
    return catalogue_of(call).at(_type_of(operation).endpoint.lstrip("/"))


def _type_of(operation: BulkOperation) -> ResourceType:
    if operation.type is None:
        raise AssertionError("an operation without a type has a fault")
    return operation.type
