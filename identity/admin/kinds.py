"""The kinds of principals as the OpenAPI document tells them: the four, and those that a tenant defined."""

from typing import Annotated

from pydantic import WithJsonSchema

from identity.model.principal import CUSTOM_KIND, Kind

PrincipalKind = Annotated[
    Kind,
    WithJsonSchema(
        {
            "description": "One of the four, or the name of a resource type that the tenant defined, behind custom:",
            "anyOf": [
                {"type": "string", "enum": [kind.value for kind in Kind]},
                {"type": "string", "pattern": f"^{CUSTOM_KIND.pattern}$"},
            ],
        }
    ),
]
