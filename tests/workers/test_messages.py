"""What a worker takes for a message: the two kinds that a relay sends, read into a value, and nothing else."""

import json
from base64 import b64decode

import pytest

from tests.workers.foreign import ENVELOPES, MESSAGES, NOT_JSON, ROW, TENANT, Parts, enveloped, message
from workers.messages import (
    DELIVERIES_MAX,
    ROWS_MAX,
    SWEEP,
    ForeignMessageError,
    build_envelope,
    read_envelope,
    read_task,
)


@pytest.mark.parametrize(("parts", "reason"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_with_one_fault_is_foreign_for_that_fault(parts: Parts, reason: str) -> None:
    with pytest.raises(ForeignMessageError) as refusal:
        read_task(parts["content-type"], parts["headers"], parts["body"].encode())
    assert refusal.value.reason == reason
    with pytest.raises(ForeignMessageError) as refusal:
        read_envelope(enveloped(parts))
    assert refusal.value.reason in (reason, "size")  # the envelope of a large body is large, too


@pytest.mark.parametrize(("text", "reason"), ENVELOPES.values(), ids=ENVELOPES)
def test_an_envelope_with_one_fault_is_foreign_for_that_fault(text: str, reason: str) -> None:
    with pytest.raises(ForeignMessageError) as refusal:
        read_envelope(text)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("item", [*NOT_JSON.values(), None], ids=[*NOT_JSON, "null"])
def test_what_is_no_json_is_foreign(item: bytes | None) -> None:
    with pytest.raises(ForeignMessageError) as refusal:
        read_envelope(item)
    assert refusal.value.reason in ("not_json", "size")


def test_only_task_arguments_and_expiry_reach_celery() -> None:
    """No delay, no other time limit, no other queue and no other task to follow."""
    headers = {"eta": "2999-01-01T00:00:00Z", "timelimit": [9e9, 9e9], "compression": "bzip2", "chord": {}}
    body = [[TENANT, ROW], {}, {"callbacks": [{"task": "os.system"}]}]
    sent = enveloped(message(body, **headers), delivery_info={"exchange": "", "routing_key": "elsewhere"})
    task, number = read_envelope(sent)
    built = build_envelope(task, queue="celery", delivery_tag="tag", deliveries=number)
    assert json.loads(b64decode(built["body"])) == [[TENANT, ROW], {}, {}]
    assert (built["headers"]["eta"], built["headers"]["timelimit"]) == (None, [None, None])
    assert {"compression", "chord"}.isdisjoint(built["headers"])
    assert built["properties"]["delivery_info"] == {"exchange": "", "routing_key": "celery"}


def test_what_was_built_is_read_again_with_its_deliveries() -> None:
    task, _ = read_envelope(enveloped(message()))
    again = build_envelope(task, queue="celery", delivery_tag="tag", deliveries=4)
    assert read_envelope(json.dumps(again)) == (task, 5)


@pytest.mark.parametrize("counted_by", ["the queue", "the message"])
def test_the_sixth_delivery_is_one_too_many(counted_by: str) -> None:
    sent = enveloped(message(), deliveries=DELIVERIES_MAX if counted_by == "the message" else 0)
    with pytest.raises(ForeignMessageError, match="delivered_too_often"):
        read_envelope(sent, delivery=DELIVERIES_MAX + 1 if counted_by == "the queue" else None)


def test_a_sweep_has_no_arguments() -> None:
    task, _ = read_envelope(enveloped(message([[], {}, {}], task=SWEEP)))
    assert task.arguments == ()


@pytest.mark.parametrize("expires", ["2026-11-24T10:00:00+01:00", "soon", 7, "9999-12-31T23:59:59-23:59"])
def test_no_message_expires_by_the_clock_of_whoever_sent_it(expires: object) -> None:
    task, _ = read_envelope(enveloped(message(expires=expires)))
    assert task.headers()["expires"] is None


def test_a_batch_of_as_many_rows_as_are_allowed_fits_into_a_message() -> None:
    task, _ = read_envelope(enveloped(message([[TENANT, *[ROW] * ROWS_MAX], {}, {}])))
    assert len(task.arguments) == ROWS_MAX + 1
