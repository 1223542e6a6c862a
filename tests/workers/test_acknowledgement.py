"""A broker that cannot be told of the end of a message takes no place from the others."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from config.celery import make_celery
from identity.store.outbox import Batch
from tests.workers.plant import Plant, TwoTenants, redis_at
from workers.relay import Broker

ENDS: dict[str, Callable[[Any, str], None]] = {
    "done": lambda channel, tag: channel.basic_ack(tag),
    "given back": lambda channel, tag: channel.basic_reject(tag, requeue=True),
    "set aside": lambda channel, tag: channel.basic_reject(tag, requeue=False),
}


@pytest.mark.promise(6)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("broker", ["pgmq", "redis"])
def test_a_message_whose_end_the_broker_never_heard_of_keeps_no_other_from_being_taken(
    two_tenants: TwoTenants, tmp_path: Path, broker: str, end: str
) -> None:
    plant = Plant(two_tenants, {"IDENTITY_DATABASE_URL": two_tenants.url})
    with ExitStack() as running:
        if broker == "redis":
            running.enter_context(redis_at(tmp_path / "redis.sock"))
            plant.environment["IDENTITY_BROKER_URL"] = f"redis+socket://{tmp_path}/redis.sock"
        app = make_celery(plant.settings(), "identity_app")
        relay = make_celery(plant.settings(), "identity_relay")
        Broker(relay, lambda _: 0).send(Batch(two_tenants.tenant_id, (uuid4(),)))
        connection = app.connection_for_read()
        channel = connection.default_channel
        channel.basic_qos(0, 1, False)
        message = channel.basic_get("celery")
        assert message is not None
        assert not channel.qos.can_consume(), "one is under way, and there is one place"
        if broker == "pgmq":
            channel.connection.pool.close()
    with pytest.raises(Exception, match=r"."):
        ENDS[end](channel, message.delivery_tag)
    assert channel.qos.can_consume()
