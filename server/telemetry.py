"""Logs: one line of JSON each (pretty on a terminal), never with a token, a secret or a password.

The code of a request binds ``request_id`` and ``tenant`` in ``structlog.contextvars``: every line shows them.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import Processor

SECRET_NAMES = re.compile(
    r"token|secret|password|passwd|authorization|assertion|credential|cookie|private|encryption_key|^code$",
    re.IGNORECASE,
)
NAMES_ABOUT_TOKENS = frozenset(
    {"token_type", "token_endpoint_auth_method", "requested_token_type", "subject_token_type"}
)
SECRET_LOOKS = re.compile(
    r"eyJ[\w-]+\.[\w-]*\.?[\w.-]*"  # JOSE, compact
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"  # user and password in a URL
    r"|(?i:\b(?:bearer|basic|dpop)\s+)[\w.~+/=-]+"
    r"|(?<![\w/.-])[A-Za-z0-9_+-]{40,}={0,2}(?![\w/.])"  # 240 bits and more without a word in between
)
REDACTED = "[redacted]"


def configure_logging(
    log_format: Literal["json", "console"], level: str = "info", *, stream: TextIO = sys.stderr
) -> None:
    """Send every log of this process, ours and our libraries', to ``stream`` in one format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # text without local variables: those hold secrets
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format, stream)],
    )
    channel = logging.StreamHandler(stream)
    channel.setFormatter(formatter)
    logging.basicConfig(handlers=[channel], level=level.upper(), force=True)
    for name in ("alembic", "kombu", "httpx2", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # "no hostname": a queue in PostgreSQL has none
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # the user of the pool logs it better, and once


def redact(_logger: object, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove every value that is named like a secret or looks like one."""
    for name, value in line.items():
        line[name] = _redacted(name, value)
    return line


def _redacted(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if SECRET_NAMES.search(name) and name not in NAMES_ABOUT_TOKENS:
            return REDACTED
        return SECRET_LOOKS.sub(REDACTED, value)
    if isinstance(value, dict):
        return {key: _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(name, inner) for inner in value]
    return value


def _renderer(log_format: Literal["json", "console"], stream: TextIO) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=stream.isatty())
