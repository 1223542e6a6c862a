"""Settings: where they come from, and what is said when one is wrong."""

import base64
from hashlib import sha256
from pathlib import Path

import pytest

from config.settings import SettingsError, load_settings

URL = "postgresql://u:p@db.example/identity"
KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def only_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CONFIG", "DATABASE_URL", "ADMIN_TOKEN", "PORT", "BROKER_URL", "EXTERNAL_URL"):
        monkeypatch.delenv(f"IDENTITY_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_environment_is_over_the_file_and_the_command_line_over_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "identity.toml"
    file.write_text(f'database_url = "{URL}"\nport = 1111\nweb_threads = 3\nhost = "127.0.0.2"\n')
    monkeypatch.setenv("IDENTITY_CONFIG", str(file))
    monkeypatch.setenv("IDENTITY_PORT", "2222")
    monkeypatch.setenv("IDENTITY_WEB_THREADS", "5")
    settings = load_settings(web_threads=7)
    assert (settings.host, settings.port, settings.web_threads) == ("127.0.0.2", 2222, 7)


def test_the_defaults_are_this_machine_and_one_database() -> None:
    settings = load_settings(database_url=URL)
    assert settings.external_url == "http://127.0.0.1:8080"
    assert settings.owner_url == settings.database_url.get_secret_value()
    assert settings.broker_url is None
    assert settings.outgoing_allow_loopback is False
    assert settings.access_log is True


@pytest.mark.parametrize(("value", "is_on"), [("false", False), ("0", False), ("true", True), ("", True)])
def test_the_access_log_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, value: str, is_on: bool) -> None:
    monkeypatch.setenv("IDENTITY_ACCESS_LOG", value)
    assert load_settings(database_url=URL).access_log is is_on


def test_the_external_url_follows_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_PORT", "9123")
    assert load_settings(database_url=URL).external_url == "http://127.0.0.1:9123"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"database_url": "mysql://db/x"}, "IDENTITY_DATABASE_URL: must be the URL of a PostgreSQL database"),
        ({"database_url": ""}, "IDENTITY_DATABASE_URL: must be"),
        ({"broker_url": "memory://"}, "IDENTITY_BROKER_URL: must begin with redis://"),
        ({"admin_token": "short"}, "IDENTITY_ADMIN_TOKEN: must be at least 32"),
        ({"admin_token": "é" * 32}, "IDENTITY_ADMIN_TOKEN: must be at least 32 printable ASCII"),
        ({"admin_token": "x" * 32, "admin_token_sha256": "0" * 64}, "not both"),
        ({"admin_token_sha256": "xyz"}, "IDENTITY_ADMIN_TOKEN_SHA256"),
        ({"key_encryption_key": "!"}, "IDENTITY_KEY_ENCRYPTION_KEY: must be base64"),
        ({"key_encryption_key": base64.b64encode(b"x" * 31).decode()}, "exactly 32 random bytes"),
        ({"external_url": "http://id.example"}, "must be https://"),
        ({"external_url": "https://id.example/"}, "must not end with a slash"),
        ({"external_url": "ftp://id.example"}, "must be an https:// URL"),
        ({"host": "0.0.0.0"}, "set external_url when"),
        ({"port": 0}, "IDENTITY_PORT"),
        ({"web_thread": 4}, "web_thread is not a setting"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_do(changed: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(**({"database_url": URL} | changed))
    assert said in str(refusal.value)


def test_a_missing_database_is_explained() -> None:
    with pytest.raises(SettingsError, match=r"IDENTITY_DATABASE_URL is not set: .*identity dev"):
        load_settings()


def test_an_unknown_environment_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_DATABSE_URL", URL)
    with pytest.raises(SettingsError, match="IDENTITY_DATABSE_URL is not a setting"):
        load_settings(database_url=URL)


def test_an_unknown_name_in_the_file_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("prot = 1\n")
    monkeypatch.setenv("IDENTITY_CONFIG", str(tmp_path / "x.toml"))
    with pytest.raises(SettingsError, match="prot is not a setting"):
        load_settings(database_url=URL)


def test_no_secret_is_printed_or_put_in_an_error() -> None:
    token = "a-very-secret-admin-token-of-some-length"
    settings = load_settings(database_url=URL, admin_token=token, key_encryption_key=KEY)
    assert not any(secret in repr(settings) for secret in (token, KEY, "u:p"))
    with pytest.raises(SettingsError) as refusal:
        load_settings(database_url=URL, admin_token="hunter2")
    assert "hunter2" not in str(refusal.value)


def test_only_the_hash_of_the_admin_token_is_needed() -> None:
    token = "x" * 32
    given = load_settings(database_url=URL, admin_token=token)
    hashed = load_settings(database_url=URL, admin_token_sha256=sha256(token.encode()).hexdigest())
    assert given.admin_token_hash == hashed.admin_token_hash == sha256(token.encode()).digest()


def test_a_broker_whose_library_is_missing_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.extras.find_spec", lambda name: None if name == "packaging" else object())
    load_settings(database_url=URL, broker_url="amqp://host")
    with pytest.raises(SettingsError, match=r"Redis needs packaging: pip install 'identity-foundation\[redis\]'"):
        load_settings(database_url=URL, broker_url="rediss://host")
