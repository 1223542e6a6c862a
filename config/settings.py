"""The settings of an installation: environment ``IDENTITY_*`` over a TOML file; unknown names are errors."""

import base64
import binascii
import os
import sys
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from identity.model.credential import ADMIN_TOKEN_LENGTH_MIN
from server.extras import missing_extra
from server.failures import Failure
from server.private_files import read_toml

PREFIX = "IDENTITY_"
DEFAULT_FILE = Path("config/identity.toml")
NOT_SETTINGS = frozenset(
    {
        "IDENTITY_CONFIG",
        "IDENTITY_DATA",
        "IDENTITY_PROFILE",
        "IDENTITY_PROVE_ASSERTIONS",
        "IDENTITY_PROVE_BACKLOG",
        "IDENTITY_PROVE_CHAINS",
        "IDENTITY_PROVE_EXAMPLES",
        "IDENTITY_PROVE_TASKS",
        "IDENTITY_PROVE_FAULTS",
        "IDENTITY_PROVE_ROUNDS",
        "IDENTITY_PROVE_ROWS",
        "IDENTITY_SCIM_TOKEN",
        "IDENTITY_TESTS_FORBID_SKIPS",
        "IDENTITY_TESTS_POSTGRES_BINARIES",
        "IDENTITY_URL",
    }
)
"""Environment variables of ours that are read elsewhere."""

BROKER_LIBRARIES = {"redis": ("redis", "packaging")}
"""By the beginning of the URL: what the extra of that name installs."""

KEY_BYTES = 32  # AES-256


class SettingsError(Failure):
    """A setting is missing, unknown or wrong; the message names each one and says what to do."""


def _database_url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if not separator or scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError("must be the URL of a PostgreSQL database: postgresql://user:password@host/database")
    return f"postgresql+psycopg://{rest}"


def _broker_url(value: str) -> str:
    if urlsplit(value).scheme not in ("redis", "rediss", "redis+socket", "amqp", "amqps"):
        raise ValueError("must begin with redis://, rediss://, amqp:// or amqps://; unset it to use PostgreSQL")
    if (missing := missing_extra("Redis", "redis", *BROKER_LIBRARIES.get(value[:5], ()))) is not None:
        raise ValueError(missing)
    return value


def _encryption_key(value: str) -> str:
    try:
        key = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"must be base64 of {KEY_BYTES} random bytes: openssl rand -base64 32") from error
    if len(key) != KEY_BYTES:
        raise ValueError(f"must be base64 of exactly {KEY_BYTES} random bytes: openssl rand -base64 32")
    return value


def _admin_token(value: str) -> str:
    if len(value) < ADMIN_TOKEN_LENGTH_MIN or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError(
            f"must be at least {ADMIN_TOKEN_LENGTH_MIN} printable ASCII characters without spaces: "
            "openssl rand -base64 32"
        )
    return value


def is_loopback(host: str) -> bool:
    """Say whether ``host`` can only be this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class Settings(BaseSettings):
    """One installation's choices. Secrets print as asterisks."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # an error message must not show a secret that was mistyped
    )

    database_url: Annotated[SecretStr, BeforeValidator(_database_url)]
    """PostgreSQL 15 or newer; the login is a member of identity_app and identity_relay alone, and owns nothing."""
    owner_database_url: Annotated[SecretStr, BeforeValidator(_database_url)] | None = None
    """The login that owns the tables, for ``identity migrate`` only; else ``database_url``."""
    database_listen_url: Annotated[SecretStr, BeforeValidator(_database_url)] | None = None
    """Where relays, and workers on the queue in PostgreSQL, LISTEN: past a pooler; else ``database_url``."""
    database_prepared: bool = True
    """Whether statements are prepared; false behind a pooler that does not keep prepared statements apart."""
    broker_url: Annotated[SecretStr, BeforeValidator(_broker_url)] | None = None
    """Redis or RabbitMQ; else a queue in the same PostgreSQL."""
    external_url: str = ""
    """How the world reaches us; every issuer begins with it. No slash at the end."""
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    management_host: str = "127.0.0.1"
    management_port: int = Field(default=9464, ge=0, le=65535)
    """Where /metrics is answered, for Prometheus; 0 is nowhere. Never on the public port."""
    admin_token: Annotated[SecretStr, BeforeValidator(_admin_token)] | None = None
    """The first administrator's token; or, not to keep it in the environment, only its hash below."""
    admin_token_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    key_encryption_key: Annotated[SecretStr, BeforeValidator(_encryption_key)] | None = None
    """Base64 of 32 bytes; encrypts the tenants' signing keys at rest. Losing it loses every signing key."""
    web_processes: int = Field(default=1, ge=1, le=64)
    web_threads: int = Field(default=4, ge=1, le=256)
    """Requests of one tenant that one process works on at a time; as many more are for the others."""
    database_pool_size: int = Field(default=8, ge=1, le=256)
    worker_threads: int = Field(default=2, ge=1, le=64)
    broker_visibility_timeout_s: int = Field(default=60, ge=5, le=3_600)
    """After it a message of a dead worker goes to another one; no task may run longer than 0.8 of it."""
    log_format: Literal["json", "console"] = "console" if sys.stderr.isatty() else "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool = True
    """Whether a line is logged for each request, at the log level info or debug."""
    outgoing_allow_loopback: bool = False
    """Let an upstream issuer's JWKS be fetched from this machine over http: for development only."""
    allow_development_issuer: bool = False
    """Let tenants trust the issuer of `identity dev`, whose key lies in its folder; `identity dev` sets it."""
    scim_requests_per_s: int = Field(default=200, ge=25, le=100_000)
    """Of one connection in one web process; ten times as many at once after a pause. More is 429."""
    body_bytes_max: int = Field(default=1_048_576, ge=1_024, le=16_777_216)
    """A request's body; larger is 413. Entra and Okta stay below 300 kB for a group of 1,000 members."""

    @field_validator("external_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be an https:// URL without query and fragment")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "must be https:// (http:// is allowed for this machine only): the network would see tokens"
            )
        if value.endswith("/"):
            raise ValueError("must not end with a slash: issuers are compared as exact strings")
        return value

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("external_url"):
            host, port = values.get("host", "127.0.0.1"), values.get("port", 8080)
            if not is_loopback(str(host)):
                raise ValueError("set external_url when listening on an address that is not loopback")
            return values | {"external_url": f"http://127.0.0.1:{port}"}
        return values

    @model_validator(mode="after")
    def _one_admin_token(self) -> Self:
        if self.admin_token and self.admin_token_sha256:
            raise ValueError("set admin_token or admin_token_sha256, not both")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line over environment over file; no dotenv, which would depend on the working directory."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _file())

    @property
    def web_places(self) -> int:
        """How many requests a web process works on at a time: one tenant takes half, and never the pool's last."""
        return 2 * min(self.web_threads, self.database_pool_size)

    @property
    def owner_url(self) -> str:
        """The database as the owner of the tables."""
        return (self.owner_database_url or self.database_url).get_secret_value()

    @property
    def listen_url(self) -> str:
        """The database as it is listened to."""
        return (self.database_listen_url or self.database_url).get_secret_value()

    @property
    def admin_token_hash(self) -> bytes | None:
        """SHA-256 of the first administrator's token, or None when there is none."""
        if self.admin_token is not None:
            return sha256(self.admin_token.get_secret_value().encode()).digest()
        return bytes.fromhex(self.admin_token_sha256) if self.admin_token_sha256 else None

    @property
    def key_encryption_key_bytes(self) -> bytes:
        """The key that encrypts signing keys. Raises ``SettingsError`` when there is none."""
        if self.key_encryption_key is None:
            raise SettingsError("IDENTITY_KEY_ENCRYPTION_KEY is not set: openssl rand -base64 32")
        return base64.b64decode(self.key_encryption_key.get_secret_value())


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` (the command line) come first. Raises ``SettingsError``."""
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and name not in NOT_SETTINGS
        and name.removeprefix(PREFIX).lower() not in Settings.model_fields
    )
    if unknown:
        raise SettingsError("\n".join(f"{name} is not a setting; remove it or correct its name" for name in unknown))
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors())) from None


def _file() -> Path | None:
    given = os.environ.get("IDENTITY_CONFIG")
    if given and not Path(given).is_file():
        raise SettingsError(f"IDENTITY_CONFIG names {given}, which is not a file")
    file = Path(given) if given else DEFAULT_FILE
    if not file.is_file():
        return None
    read_toml(file)  # for its refusal, which names the file
    return file


def _explain(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{PREFIX}{name.upper()} is not set: {DATABASE_MISSING}"
    if fault["type"] == "extra_forbidden":
        return f"{name} is not a setting; remove it from the file or correct its name"
    reason = str(fault["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}: {reason}" if name else reason


DATABASE_MISSING = "give the URL of a PostgreSQL 15 or newer, or run `identity dev`, which brings its own"
"""Its URL is the only setting without a default."""
