"""The database and the broker of an installation, as its settings say."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from config.settings import Settings
from identity.store import Engine
from identity.store.session import Role
from identity.store.transaction import make_engine


def engine_of(settings: Settings, *, role: Role = "identity_app", pool_size: int = 1) -> Engine:
    """Return an engine on the installation's database, as its settings say."""
    return make_engine(
        settings.database_url.get_secret_value(), role=role, pool_size=pool_size, is_prepared=settings.database_prepared
    )


@contextmanager
def engine_for_once(settings: Settings, *, role: Role = "identity_app") -> Iterator[Engine]:
    """Lend an engine on the installation's database, and close its connections when the block ends."""
    engine = engine_of(settings, role=role)
    try:
        yield engine
    finally:
        engine.dispose()


def database_address(url: str) -> str:
    """Return where a database is, and its name, without login and password."""
    parts = make_url(url)
    host = parts.query.get("host") or parts.host or "localhost"
    port = parts.port or parts.query.get("port") or 5432
    return f"{host}:{port}/{parts.database}" if isinstance(host, str) else f"{','.join(host)}/{parts.database}"


def broker_address(settings: Settings) -> str:
    """Return where the broker is, without login and password."""
    if settings.broker_url is None:
        return f"pgmq at {database_address(settings.database_url.get_secret_value())}"
    parts = urlsplit(settings.broker_url.get_secret_value())
    where = parts.netloc.rpartition("@")[2] or parts.path
    return f"{parts.scheme} at {where}"
