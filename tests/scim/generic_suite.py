"""The generic suite of the field, scim2-tester, with its own settings."""

from unittest.mock import patch

from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import CheckResult, check_server
from scim2_tester.utils import ResourceManager

clean_up = ResourceManager.cleanup


def clean_up_once(manager: ResourceManager) -> None:
    """Forget what was deleted: the suite deletes everything that it ever made again after each of its checks."""
    clean_up(manager)
    manager.resources.clear()


def run_suite(client: WSGISCIMClient) -> list[CheckResult]:
    """Return the results of all checks."""
    with patch.object(ResourceManager, "cleanup", clean_up_once):
        results: list[CheckResult] = check_server(client)
    return results
