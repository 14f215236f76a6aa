"""The OpenAPI document says what the routes take and give: schemathesis asks what it allows, and what it doesn't."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from schemathesis import APIOperation, GenerationMode

from studio.services import Studio
from studio.services.principal import Right
from tests.api.conftest import application

CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.response_schema_conformance,
]
UNREADABLE = "GET /takes/facets"  # schemathesis 4.32 makes of prefixItems what it can't read itself
EXAMPLES = 5  # a route and mode


@pytest.mark.slow
def test_no_answer_is_a_crash_or_unlike_the_document(studio: Studio) -> None:
    document = schemathesis.openapi.from_asgi("/openapi.json", application(studio, sign_in=True))
    shown = {"Authorization": f"Bearer {studio.keys.create('schemathesis', Right.ADMINISTER)}"}
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 50
    for operation in operations:
        for mode in GenerationMode:
            ask(operation, mode, shown)


def ask(operation: APIOperation, mode: GenerationMode, headers: dict[str, str]) -> None:
    """Call one route with what its document allows, or in the negative mode with what it doesn't."""
    checks = CHECKS[:-1] if operation.label == UNREADABLE else CHECKS

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def call(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=checks, headers=headers)

    call()
