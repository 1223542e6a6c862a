"""Do the operations of a Bulk, each authorised, atomic and reported by itself (RFC 7644 §3.7).

Each has a transaction of its own; a cycle of references has one together. So every reported change is kept, no lock is
held longer than by a single request, and after a crash the first part of the Bulk is done, in whole operations. Workers
do this without Flask.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from identity.actions.events import record_refusal
from identity.actions.provisioning_log import log_entry_insert
from identity.model.access import Caller
from identity.model.errors import Conflict, RateLimited, Refusal, Unavailable, first_line
from identity.model.ids import parse_id
from identity.model.principal import Resource
from identity.model.provisioning_log import text_of
from identity.model.work import Work
from scim import operations
from scim.bulk.context import BulkContext, Report
from scim.bulk.request import (
    Bulk,
    BulkOperation,
    components_of,
    references_in,
    resolved,
    unknown_reference,
)
from scim.call import ScimCall, make_call
from scim.conditions import Conditions
from scim.errors import error_body, render_refusal
from scim.limits import BULK_WORK_MAX
from scim.provisioning_log import DraftEntry, write_fault
from scim.resource.locations import BULK_ID, Endpoints
from scim.resource.projection import Projection
from scim.schema.resource_types import ResourceType

TOO_MUCH = f"the PATCHes of a Bulk do at most {BULK_WORK_MAX} units of work together; send fewer at a time"
ENDPOINT = "scim.bulk"  # the route, as the audit trail and the log name it
NO_MEMBERS = Projection(excluded=frozenset({("members",)}))
UNAVAILABLE_MAX = 3  # operations in a row that the database did not answer; then the others are not tried
STATUSES = {"POST": "201", "PUT": "200", "PATCH": "200", "DELETE": "204"}

Json = dict[str, Any]
log = structlog.get_logger("scim")


@dataclass(slots=True)
class BulkWork:
    """One Bulk in progress: ``ids`` of created resources by bulkId, ``reports`` by the index of an operation.

    ``work`` is the budget that its PATCHes have left together. ``current`` is the operation that is being done.
    """

    context: BulkContext
    endpoints: Endpoints
    bulk: Bulk
    caller: Caller
    ids: dict[str, str] = field(default_factory=dict)
    reports: dict[int, Json] = field(default_factory=dict)
    work: Work = field(default_factory=lambda: Work(BULK_WORK_MAX, TOO_MUCH))
    errors: int = 0
    unavailable: int = 0
    current: BulkOperation = field(init=False)

    def __post_init__(self) -> None:
        self.current = self.bulk.operations[0]

    def do(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Do the operations that have no report yet, in whole components; return False when ``until`` ended it."""
        for component in components_of(self.bulk.operations):
            if self.bulk.fail_on_errors is not None and self.errors >= self.bulk.fail_on_errors:
                break
            left = tuple(operation for operation in component if operation.index not in self.reports)
            if not left:
                continue
            if until():
                return False
            self._do_component(left)
        return True

    def remember(self, reports: Mapping[int, Json]) -> None:
        """Take over the reports of operations that were done before."""
        for index, report in reports.items():
            self._take(self.bulk.operations[index], report)

    def _take(self, operation: BulkOperation, report: Json) -> None:
        self.reports[operation.index] = report
        is_done = report["status"] == STATUSES.get(operation.method)
        self.errors += not is_done
        if is_done and operation.method == "POST":
            self.ids[operation.bulk_id or ""] = report["location"].rsplit("/", 1)[-1]

    def _do_component(self, component: tuple[BulkOperation, ...]) -> None:
        try:
            for operation in component:
                self.current = operation
                self._check(operation)
            reports = self._cycle(component) if _is_cycle(component) else [self._single(component[0])]
        except self.context.aborts_on:
            raise
        except Refusal as refusal:
            reports = self._refused(component, refusal)
        except Exception as fault:  # what was done before is kept, and must be reported: no fault may swallow it
            log.exception("scim_bulk_fault", exc_info=fault)
            reports = self._fault(component)
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
    def _call(self, operation: BulkOperation) -> Iterator[ScimCall]:
        entry = self._entry(operation)
        with self.context.open_transaction() as tx:
            now = self.context.clock()
            self.caller = self.context.authenticate(tx, operation, now)
            yield make_call(tx, self.caller, now, self.endpoints.base_url, entry)

    def _single(self, operation: BulkOperation) -> Report:
        self._check_made(operation)
        body = resolved(operation.body, self.ids) if operation.references else operation.body
        with self._call(operation) as call:
            report = self._success(operation, self._done(call, operation, body))
            self.context.save_reports(call.tx, call.caller, [report], call.now)
            call.write_entry()
        return report

    def _done(self, call: ScimCall, operation: BulkOperation, body: Json) -> Resource | None:
        type_, conditions = _present_type(call, operation), Conditions(operation.version)
        if operation.method == "POST":
            return operations.create(call, type_, body, NO_MEMBERS)
        id_ = self._resource_id(operation)
        match operation.method:
            case "PUT":
                return operations.replace(call, type_, id_, body, conditions, NO_MEMBERS)
            case "PATCH":
                return operations.patch(call, type_, id_, body, conditions, NO_MEMBERS, within=self.work)[0]
        operations.delete(call, type_, id_, conditions)
        return None

    def _cycle(self, component: tuple[BulkOperation, ...]) -> list[Report]:
        """Create all resources without the references that cannot be resolved yet, then add those: in one transaction.

        Users come first: an agent is never without the owners that it shall have.
        """
        names = frozenset(operation.bulk_id or "" for operation in component)
        ordered = sorted(component, key=lambda operation: _type_of(operation).kind.sort_key)
        found: dict[int, Resource | None] = {}
        with self._call(component[0]) as shared:
            calls = {operation.index: replace(shared, entry=self._entry(operation)) for operation in ordered}
            made = dict(self.ids)
            for operation in ordered:
                self.current, call = operation, calls[operation.index]
                self._check_made(operation, names)
                body = resolved(operation.body, made, names - made.keys())
                resource = operations.create(call, _present_type(call, operation), body, NO_MEMBERS)
                found[operation.index], made[operation.bulk_id or ""] = resource, str(resource.principal.id)
            for operation in ordered:
                self.current, call = operation, calls[operation.index]
                if names & set(references_in(operation.body)):
                    body, id_ = resolved(operation.body, made), made[operation.bulk_id or ""]
                    type_ = _present_type(call, operation)
                    found[operation.index] = operations.replace(call, type_, id_, body, Conditions(), NO_MEMBERS)
            reports = [self._success(operation, found[operation.index]) for operation in component]
            self.context.save_reports(shared.tx, shared.caller, reports, shared.now)
            for call in calls.values():
                call.write_entry()
        return reports

    # --- reports ---

    def _entry(self, operation: BulkOperation) -> DraftEntry:
        """Return the log entry of an operation, as if it had come alone but for the prefix of its path."""
        type_, id_ = operation.type, operation.resource_id
        shape = ("" if type_ is None else type_.endpoint) + ("" if id_ is None else "/{id}")
        entry = DraftEntry(
            text_of(operation.method, 16), self.context.prefix + shape, parse_id(id_ or ""), sent=operation.body
        )
        if type_ is not None:
            entry.is_about(type_)
        return entry

    def _resource_id(self, operation: BulkOperation) -> str:
        return str(resolved(operation.resource_id, self.ids, key="$ref"))

    def _success(self, operation: BulkOperation, resource: Resource | None) -> Report:
        body = self._body(operation, STATUSES[operation.method])
        if resource is not None:
            body["location"] = self.endpoints.location_at(_type_of(operation), resource.principal.id)
            body["version"] = resource.principal.entity_tag
        return Report(operation, body, resource)

    def _refused(self, component: tuple[BulkOperation, ...], refusal: Refusal) -> list[Report]:
        reports = self._failures(component, *render_refusal(refusal))
        try:
            self._record(refusal, reports)
        except (Unavailable, RateLimited) as unrecorded:
            if not self.context.is_awaited:
                raise
            refusal = unrecorded  # without a record it is not refused: the client may try it again
            reports = self._failures(component, *render_refusal(refusal))
        self.unavailable = self.unavailable + 1 if isinstance(refusal, Unavailable) else 0
        if isinstance(refusal, Unavailable) and self.unavailable <= UNAVAILABLE_MAX:
            cause = first_line(refusal.cause or refusal.__cause__ or refusal.detail)
            log.warning("unavailable", endpoint=ENDPOINT, reason=refusal.reason, cause=cause)
        return reports

    def _record(self, refusal: Refusal, reports: Sequence[Report]) -> None:
        if isinstance(refusal, Unavailable | RateLimited):
            raise refusal  # nothing was decided, and the database may be what does not answer
        at = self.current
        detail = {"method": at.method[:16], "endpoint": ENDPOINT, "code": refusal.code, "operation": at.index}
        with self.context.open_transaction() as tx:
            now = self.context.clock()
            self.context.save_reports(tx, self.caller, reports, now)
            record_refusal(tx, "scim", refusal, detail=detail, caller=self.caller, now=now)
            log_entry_insert(tx, self._entry(at).refused(refusal), caller=self.caller, now=now)

    def _fault(self, component: tuple[BulkOperation, ...]) -> list[Report]:
        reports = self._failures(component, error_body(500, "internal error; it was logged"), 500)
        now = self.context.clock()
        write_fault(self._entry(self.current), self.context.open_transaction, self.caller, now)
        if not self.context.is_awaited:
            with self.context.open_transaction() as tx:
                self.context.save_reports(tx, self.caller, reports, self.context.clock())
        return reports

    def _failures(self, component: tuple[BulkOperation, ...], error: Json, status: int) -> list[Report]:
        """Return the reports of a component whose current operation was refused, so that none of it was done."""
        at = self.current
        named = f"{BULK_ID}{(at.bulk_id or '')[:64]}"
        along = error_body(409, f"the operation and {named} refer to each other, and {named} was refused")
        answers = {at.index: (str(status), error)}
        found = ((operation, *answers.get(operation.index, ("409", along))) for operation in component)
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


def _is_cycle(component: tuple[BulkOperation, ...]) -> bool:
    return len(component) > 1 or (component[0].method == "POST" and component[0].bulk_id in component[0].references)


def _present_type(call: ScimCall, operation: BulkOperation) -> ResourceType:
    """Return the type as the tenant defines it now: that may have changed since the Bulk came. Raises ``NotFound``."""
    return call.endpoints.catalogue.at(_type_of(operation).endpoint.lstrip("/"))


def _type_of(operation: BulkOperation) -> ResourceType:
    if operation.type is None:
        raise AssertionError("an operation without a type has a fault")
    return operation.type
