"""What a log line may hold."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server.telemetry import REDACTED, configure_logging

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    configure_logging("json", stream=stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


def test_a_line_has_the_request_and_the_tenant_that_were_bound(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r1", tenant="acme"):
        structlog.get_logger("test").info("token_refused", reason="expired")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["request_id"], line["tenant"], line["reason"]) == (
        "token_refused", "r1", "acme", "expired",
    )  # fmt: skip


def test_a_library_s_line_has_the_same_shape(stream: io.StringIO) -> None:
    logging.getLogger("celery.worker").warning("retry %s", "later")
    assert json.loads(stream.getvalue())["event"] == "retry later"


@pytest.mark.parametrize(
    "fields",
    [
        {"access_token": "abc"},
        {"client_secret": "abc"},
        {"Authorization": "abc"},
        {"form": {"subject_token": "abc"}},
        {"headers": [{"cookie": "abc"}]},
        {"text": f"failed for {JWT}"},
        {"text": "header was Bearer abc.def"},
        {"url": "postgresql://user:abc@db/x"},
        {"text": "key " + "A1b2" * 11},
    ],
)
def test_nothing_that_is_named_or_looks_like_a_secret_is_written(
    stream: io.StringIO, fields: dict[str, object]
) -> None:
    structlog.get_logger("test").info("seen", **fields)
    written = stream.getvalue()
    assert REDACTED in written
    assert not any(secret in written for secret in ('"abc"', "abc.def", ":abc@", JWT, "A1b2A1b2"))


@pytest.mark.parametrize(
    "text", ["0192f0c1-7a1b-7c3d-8e4f-0123456789ab", "https://id.example/t/acme/scim/v2/Users/0192f0c1-7a1b"]
)
def test_ids_and_addresses_stay_readable(stream: io.StringIO, text: str) -> None:
    structlog.get_logger("test").info("seen", where=text)
    assert text in stream.getvalue()


def test_a_traceback_holds_no_secret_either(stream: io.StringIO) -> None:
    try:
        int(JWT)
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "ValueError" in stream.getvalue()
    assert JWT not in stream.getvalue()
