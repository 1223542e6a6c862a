"""Messages that no relay sends, each with one fault, and how they get into the queue of each broker."""

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID

import amqp
import psycopg
import redis
from kombu import Connection

from tests.workers.plant import Plant
from workers.messages import ROWS_MAX, SET_ASIDE_MAX
from workers.rabbitmq_broker import QUEUE_ARGUMENTS, SET_ASIDE_ARGUMENTS

TENANT, ROW = str(UUID(int=1)), str(UUID(int=2))
HEADERS: dict[str, Any] = {"task": "identity.reconcile", "id": ROW, "lang": "py", "expires": None}
BODY: Any = [[TENANT, ROW], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]

Parts = dict[str, Any]
"""A message: its content type, headers and body, as every broker has them."""


def message(body: Any = BODY, *, content_type: Any = "application/json", **headers: Any) -> Parts:
    text = body if isinstance(body, str) else json.dumps(body)
    return {"content-type": content_type, "headers": HEADERS | headers, "body": text}


MESSAGES: dict[str, tuple[Parts, str]] = {
    "a content type that runs code": (message(content_type="application/x-python-serialize"), "content_type"),
    "an unknown content type": (message(content_type="application/x-unknown"), "content_type"),
    "no content type": (message(content_type=None), "content_type"),
    "no headers": (message() | {"headers": {}}, "unknown_task"),
    "an unknown task": (message(task="os.system"), "unknown_task"),
    "a task of Celery's own": (message(task="celery.chain"), "unknown_task"),
    "a task that is a list": (message(task=["identity.reconcile"]), "unknown_task"),
    "no id": (message(id=None), "id"),
    "an id that is no UUID": (message(id="x" * 100), "id"),
    "a body that is no JSON": (message("{"), "not_json"),
    "an empty body": (message(""), "not_json"),
    "a body nested too deeply": (message("[" * 10_000), "not_json"),
    "a number of too many digits": (message("9" * 10_000), "not_json"),
    "a body that is too large": (message(json.dumps([[TENANT, ROW], {}, {"x": "x" * 20_000}])), "size"),
    "a body of another shape": (message({"args": [TENANT, ROW]}), "arguments"),
    "one argument too few": (message([[TENANT], {}, {}]), "arguments"),
    "more rows than a batch has": (message([[TENANT, *[ROW] * (ROWS_MAX + 1)], {}, {}]), "arguments"),
    "an argument that is no UUID": (message([[TENANT, "'; --"], {}, {}]), "arguments"),
    "an argument that is a number": (message([[TENANT, 7], {}, {}]), "arguments"),
    "an argument by name": (message([[TENANT, ROW], {"works": {}}, {}]), "arguments"),
    "arguments that are no list": (message(["ab", {}, {}]), "arguments"),
}


def enveloped(parts: Parts, **properties: Any) -> str:
    """Return a message as kombu keeps it in PostgreSQL and Redis."""
    kept = {"body_encoding": "base64", "delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": "celery"}}
    return json.dumps(parts | {"body": b64encode(parts["body"].encode()).decode(), "properties": kept | properties})


ENVELOPES: dict[str, tuple[str, str]] = {
    "null": ("null", "envelope"),
    "a text": ('"x"', "envelope"),
    "a list": ("[]", "envelope"),
    "an empty object": ("{}", "envelope"),
    "properties that are a list": ('{"properties": []}', "envelope"),
    "headers that are a list": (json.dumps(json.loads(enveloped(message())) | {"headers": []}), "headers"),
    "an unknown encoding of the body": (enveloped(message(), body_encoding="rot13"), "body_encoding"),
    "a body that is no base64": (json.dumps(json.loads(enveloped(message())) | {"body": "ä"}), "body_encoding"),
    "a body that is an object": (json.dumps(json.loads(enveloped(message())) | {"body": {}}), "not_json"),
    "deliveries below zero": (enveloped(message(), deliveries=-100), "deliveries"),
    "deliveries that are a text": (enveloped(message(), deliveries="1"), "deliveries"),
}
NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "no text": b"\xff\xfe",
    "no JSON": b"{",
    "pickle": b"\x80\x04K\x01.",
    "nested too deeply": b"[" * 10_000,
    "too large": b'"' + b"x" * 20_000 + b'"',
}


def put_in_pgmq(plant: Plant) -> int:
    """Put every foreign message that PostgreSQL can hold into the queue, as a relay may; return how many."""
    texts = [*(enveloped(parts) for parts, _ in MESSAGES.values()), *(text for text, _ in ENVELOPES.values())]
    with (
        psycopg.connect(plant.two_tenants.url.replace("+psycopg", ""), options="-c role=identity_relay") as connection,
        connection.cursor() as cursor,
    ):
        rows = [(text,) for text in [*texts, '"' + "x" * 20_000 + '"', None]]
        cursor.executemany("INSERT INTO pgmq.q_celery (vt, message) VALUES (now(), %s)", rows)
        return len(rows)


def put_in_redis(plant: Plant) -> int:
    """Push every foreign message onto the list, and one into what Redis keeps of messages under way."""
    texts = [*(enveloped(parts) for parts, _ in MESSAGES.values()), *(text for text, _ in ENVELOPES.values())]
    with redis_client(plant) as client:
        client.lpush("celery", *texts, *NOT_JSON.values())
        client.hset("unacked", "tag", "{")
        client.zadd("unacked_index", {"tag": 1})
    return len(texts) + len(NOT_JSON) + 1


def put_in_rabbitmq(plant: Plant) -> int:
    """Publish every foreign message, one that says that it is compressed, and one that has nothing but bytes."""
    sent = [*(parts for parts, _ in MESSAGES.values()), message("no gzip", compression="application/x-gzip")]
    for parts in [*sent, {"content-type": None, "headers": {}, "body": b"\xff\xfe"}]:
        put_one_in_rabbitmq(plant, parts)
    return len(sent) + 1


def put_one_in_redis(plant: Plant, parts: Parts, **properties: Any) -> None:
    with redis_client(plant) as client:
        client.lpush("celery", enveloped(parts, **properties))


def put_one_in_rabbitmq(plant: Plant, parts: Parts) -> None:
    told = amqp.Message(parts["body"], application_headers=parts["headers"])
    if parts["content-type"] is not None:
        told.properties["content_type"] = parts["content-type"]
    with rabbitmq_channel(plant) as channel:
        channel.queue_declare("identity", durable=True, auto_delete=False, arguments=QUEUE_ARGUMENTS)
        channel.basic_publish(told, exchange="", routing_key="identity")


def nested(depth: int) -> dict[str, Any]:
    """Return headers that lie in each other so deeply; writing them needs deeper recursion than Python allows."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * depth))
    table: dict[str, Any] = {}
    for _ in range(depth):
        table = {"n": table}
    return table


def fill_pgmq(plant: Plant) -> None:
    with plant.two_tenants.sql() as connection:
        connection.execute(
            "INSERT INTO pgmq.a_celery (msg_id, vt, archived_at)"
            " SELECT -n, now(), '2026-01-01' FROM generate_series(1, %s) AS n",
            (SET_ASIDE_MAX,),
        )


def fill_redis(plant: Plant) -> None:
    with redis_client(plant) as client:
        client.rpush("identity.set_aside", *range(SET_ASIDE_MAX))


def kept_by_pgmq(plant: Plant) -> int:
    with plant.two_tenants.sql() as connection:
        row = connection.execute("SELECT count(*) FROM pgmq.a_celery").fetchone()
    return int(row[0]) if row else 0


def kept_by_redis(plant: Plant) -> int:
    with redis_client(plant) as client:
        return int(client.llen("identity.set_aside"))


def kept_by_rabbitmq(plant: Plant) -> int:
    with rabbitmq_channel(plant) as channel:
        declared = channel.queue_declare(
            "identity.set_aside", durable=True, auto_delete=False, arguments=SET_ASIDE_ARGUMENTS
        )
        return int(declared.message_count)


@contextmanager
def rabbitmq_channel(plant: Plant) -> Iterator[Any]:
    with Connection(plant.environment["IDENTITY_BROKER_URL"].replace("amqp://", "pyamqp://")) as connection:
        yield connection.channel()


def redis_client(plant: Plant) -> closing[redis.Redis]:
    path = plant.environment["IDENTITY_BROKER_URL"].removeprefix("redis+socket://")
    return closing(redis.Redis(unix_socket_path=path))


PUT: dict[str, Callable[[Plant], int]] = {
    "pgmq": put_in_pgmq, "redis": put_in_redis, "rabbitmq": put_in_rabbitmq,
}  # fmt: skip
KEPT: dict[str, Callable[[Plant], int]] = {
    "pgmq": kept_by_pgmq, "redis": kept_by_redis, "rabbitmq": kept_by_rabbitmq,
}  # fmt: skip
FILL: dict[str, Callable[[Plant], None]] = {"pgmq": fill_pgmq, "redis": fill_redis}
