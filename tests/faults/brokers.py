"""Brokers that can be killed and started again: the queue in PostgreSQL, a Redis and a RabbitMQ of one's own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.workers.plant import redis_at
from tests.workers.rabbitmq import RabbitMQ, configured_rabbitmq


class Broker(Protocol):
    """A broker of its own; ``url`` is None where it is the database."""

    url: str | None

    def kill_and_start(self) -> None:
        """kill -9, and start again at the same address."""
        ...


@dataclass
class InPostgres:
    """The default: whatever happens to it happens to PostgreSQL."""

    url: str | None = None

    def kill_and_start(self) -> None:
        """There is nothing apart from PostgreSQL to kill."""
        raise NotImplementedError


@dataclass
class OwnRedis:
    """A Redis that keeps nothing: each kill loses all its data."""

    socket: Path
    running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """Where the programs find it."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        """Start, empty."""
        self.socket.unlink(missing_ok=True)
        self.running.enter_context(redis_at(self.socket))

    def kill_and_start(self) -> None:
        """Lose everything."""
        self.running.close()
        self.start()


@dataclass
class OwnRabbitMQ:
    """A RabbitMQ whose data stay where they are."""

    broker: RabbitMQ

    @property
    def url(self) -> str:
        """Where the programs find it."""
        return self.broker.url("master")

    def kill_and_start(self) -> None:
        """The node dies, and comes again with what it had on disk."""
        self.broker.stop()
        self.broker.start()


@contextmanager
def broker_of(kind: str, folder: Path) -> Iterator[Broker]:
    """Run ``redis``, ``rabbitmq``, or nothing beside PostgreSQL (``pgmq``); skips the test where there is none."""
    if kind == "redis":
        redis = OwnRedis(folder / "redis.sock")
        with redis.running:
            redis.start()
            yield redis
    elif kind == "rabbitmq":
        rabbitmq = configured_rabbitmq(folder / "rabbitmq")
        try:
            rabbitmq.start()
            yield OwnRabbitMQ(rabbitmq)
        finally:
            rabbitmq.stop()
    else:
        yield InPostgres()
