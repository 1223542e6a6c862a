"""A certificate that cannot be accepted here is a wrong configuration; one that has run out is the issuer's outage."""

import datetime
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from identity_verifier import ConfigurationError, Misconfiguration, Rule, VerificationError, Verifier
from identity_verifier import fetch as fetch_module
from local_issuer import AUDIENCE, ISSUER, NOW, LocalIssuer
from loopback import LoopbackServer, loopback_server

SIGNER = LocalIssuer()


def certificate(host: str, days: tuple[int, int]) -> tuple[bytes, bytes]:
    """A certificate for ``host`` that its own key has signed, good from the first day to the second, and the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    today = datetime.datetime.now(datetime.timezone.utc)
    first, last = (today + datetime.timedelta(days=day) for day in days)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(first).not_valid_after(last)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = builder.sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(pem), private


@contextmanager
def tls_server(folder: Any, host: str, days: tuple[int, int] = (-2, 2)) -> Iterator[LoopbackServer]:
    public, private = certificate(host, days)
    (folder / "server.pem").write_bytes(public + private)
    (folder / "authority.pem").write_bytes(public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with loopback_server(context) as running:
        running.says(SIGNER.key_set())
        yield running


@pytest.fixture
def trusting(tmp_path, monkeypatch):
    """Trust the certificate that ``tls_server`` writes, as an operator would: by SSL_CERT_FILE."""
    (tmp_path / "authority.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    fetch_module.client.cache_clear()
    yield
    fetch_module.client.cache_clear()


def verifier_at(jwks_uri: str) -> Verifier:
    return Verifier(ISSUER, AUDIENCE, jwks_uri=jwks_uri, clock=lambda: NOW)


def fault_at(jwks_uri: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as fault:
        verifier_at(jwks_uri).verify(SIGNER.sign())
    return fault.value


def jwks_at(server: LoopbackServer, host: str = "localhost") -> str:
    return server.url.replace("http://127.0.0.1", f"https://{host}") + "/jwks"


def test_a_certificate_of_a_trusted_authority_is_accepted(tmp_path, trusting):
    with tls_server(tmp_path, "localhost") as server:
        assert verifier_at(jwks_at(server)).verify(SIGNER.sign()).token_id == "tok_01"


def test_an_authority_that_this_machine_does_not_trust_is_a_wrong_configuration(tmp_path):
    with tls_server(tmp_path, "localhost") as server:
        fault = fault_at(jwks_at(server))
    assert (fault.code, "SSL_CERT_FILE" in fault.detail) == (Misconfiguration.TLS, True)


def test_a_certificate_for_another_host_is_a_wrong_configuration(tmp_path, trusting):
    with tls_server(tmp_path, "id.example") as server:
        fault = fault_at(jwks_at(server))
    assert fault.code is Misconfiguration.TLS


def test_an_expired_certificate_is_the_issuers_to_mend_and_an_outage_here(tmp_path, trusting):
    with tls_server(tmp_path, "localhost", (-4, -2)) as server, pytest.raises(VerificationError) as refusal:
        verifier_at(jwks_at(server)).verify(SIGNER.sign())
    assert refusal.value.rule is Rule.KEYS_UNAVAILABLE
    assert "certificate has expired" in refusal.value.detail


def test_https_where_http_is_spoken_is_a_wrong_configuration(server):
    server.says(SIGNER.key_set())
    fault = fault_at(jwks_at(server, "127.0.0.1"))
    assert (fault.code, "TLS is not spoken" in fault.detail) == (Misconfiguration.TLS, True)
