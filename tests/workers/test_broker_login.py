"""What programs do at their start where the broker refuses the login, and where it is away."""

import pytest
from structlog.testing import capture_logs

from config.celery import make_celery, refuse_broker_login
from config.settings import Settings, load_settings
from server.failures import sentence_of
from tests.config.test_management import free_port


def settings(broker_url: str | None) -> Settings:
    return load_settings(database_url="postgresql://x@/x?host=/nonexistent", broker_url=broker_url)


def check(broker_url: str | None) -> None:
    found = settings(broker_url)
    refuse_broker_login(make_celery(found, "identity_relay"), found)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_a_wrong_password_of_the_broker_is_no_reason_to_wait(request: pytest.FixtureRequest, broker: str) -> None:
    url: str = request.getfixturevalue(f"{broker}_url")
    scheme, _, where = url.partition("://")
    wrong = f"{scheme}://nobody:of-that-name@{where.rpartition('@')[2]}"
    with pytest.raises(Exception) as refused:
        check(wrong)
    said = sentence_of(refused.value) or ""
    assert said.startswith("the broker refuses the login")
    assert "of-that-name" not in said
    check(url)


@pytest.mark.parametrize("scheme", [None, "redis", "amqp"])
def test_a_broker_that_is_away_is_waited_for_and_the_log_says_so(scheme: str | None) -> None:
    with capture_logs() as logs:
        check(scheme and f"{scheme}://127.0.0.1:{free_port()}")
    [line] = [line for line in logs if line["event"] == "broker_does_not_answer"]
    assert "does not answer" in line["detail"]
