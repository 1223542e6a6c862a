"""Faults of a configuration: some are seen at once in the settings, others later in the answers of the issuer."""

from typing import Any
from urllib.parse import urlsplit

from identity_verifier.errors import ConfigurationError, Misconfiguration, Rule, VerificationError
from identity_verifier.fetch import FetchError, is_loopback

PASSING = frozenset({408, 425, 429})
"""Statuses of 4xx that end by themselves (RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4)."""
ISSUER_SHOWN = "https://HOST/t/TENANT"


def check_issuer(issuer: Any, tenant: Any) -> None:
    """Raise ``ConfigurationError`` for what cannot be the issuer of a tenant."""
    if not isinstance(issuer, str) or not issuer:
        raise ConfigurationError(Misconfiguration.ISSUER, f"issuer must be named, as {ISSUER_SHOWN}")
    if issuer.endswith("/"):
        raise ConfigurationError(Misconfiguration.ISSUER, f"{issuer!r} ends with a slash, as no issuer does: remove it")
    parts = split_url(issuer)
    if parts is None or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(Misconfiguration.ISSUER, f"{issuer!r} is no issuer: give it as {ISSUER_SHOWN}")
    if tenant is not None and (not isinstance(tenant, str) or not tenant):
        raise ConfigurationError(Misconfiguration.TENANT, "tenant must be a name, or left out")


def check_audience(audience: Any) -> None:
    """Raise ``ConfigurationError`` unless there is one audience."""
    if not isinstance(audience, str) or not audience.strip():
        detail = "audience must be the one text that this resource server is registered under"
        raise ConfigurationError(Misconfiguration.AUDIENCE, detail)


def check_numbers(least: int, **options: Any) -> None:
    """Raise ``ConfigurationError`` for an option that is no number, or less than ``least``."""
    for name, value in options.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not value >= least:
            raise ConfigurationError(Misconfiguration.OPTION, f"{name} must be a number of at least {least}")


def check_client(client_id: Any, client_secret: Any) -> None:
    """Raise ``ConfigurationError`` unless a client and its secret are given."""
    for name, value in (("client_id", client_id), ("client_secret", client_secret)):
        if not isinstance(value, str) or not value.strip():
            detail = f"{name} must be given: `identity client create TENANT --audience URL` prints it"
            raise ConfigurationError(Misconfiguration.CLIENT, detail)


def check_secure_url(url: Any, *, allow_plain_http: bool) -> str:
    """Return the URL. Raise ``ConfigurationError``: a party that can alter keys on the way can sign tokens.

    Plain http is for loopback, or when the caller says that the network between is trusted.
    """
    parts = split_url(url) if isinstance(url, str) else None
    if parts is None or not (parts.scheme == "https" or allow_plain_http or is_loopback(parts.hostname or "")):
        raise ConfigurationError(Misconfiguration.URL, f"{url!r} must be https, or http to loopback")
    return str(url)


def split_url(url: str) -> Any:
    """Return the parts of an absolute http URL, or None."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    is_whole = parts.scheme in ("http", "https") and parts.hostname and url.isprintable() and " " not in url
    return parts if is_whole else None


def check_token(unverified_token: Any) -> str:
    """Return the token. Raise ``VerificationError`` where there is none, ``ConfigurationError`` where it is no text.

    A caller chooses what stands in the token, and never its type: this service does.
    """
    if unverified_token is None or unverified_token == "":
        raise VerificationError(Rule.MISSING, "there is no token")
    if not isinstance(unverified_token, str):
        detail = f"the token must be text (str) and is {type(unverified_token).__name__}: decode or convert it first"
        raise ConfigurationError(Misconfiguration.TOKEN_TYPE, detail)
    return unverified_token


def misconfiguration_in(failure: FetchError, url: str) -> ConfigurationError | None:
    """Return what a failed request says about the configuration; None where it may pass by itself."""
    if failure.is_untrusted:
        detail = f"{url}: {failure}; check the host, or let SSL_CERT_FILE name the authority that this issuer uses"
        return ConfigurationError(Misconfiguration.TLS, detail)
    status = failure.status
    if status is None or status >= 500 or status in PASSING:
        return None
    if status < 300:
        return not_an_issuer(url, str(failure))
    code, meaning = meaning_of(status)
    return ConfigurationError(code, f"{url} answers {status}: {meaning}")


def meaning_of(status: int) -> tuple[Misconfiguration, str]:
    if status in (404, 410):
        return Misconfiguration.NOT_FOUND, "there is no such issuer; check the host, and TENANT in /t/TENANT"
    if status < 400:
        return Misconfiguration.REDIRECTED, "redirects are not followed; give the URL that this one leads to"
    return Misconfiguration.REFUSED, "an issuer refuses no such request; check the host, and any gateway in front of it"


def not_an_issuer(url: str, found: str) -> ConfigurationError:
    """Return that an address answers, and not as an issuer does: a proxy, a page to sign in, another program."""
    detail = f"{url} does not answer as an issuer does ({found}); check the host, and any proxy in front of it"
    return ConfigurationError(Misconfiguration.NOT_AN_ISSUER, detail)
