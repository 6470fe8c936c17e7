"""Every operation is asked what its document allows and what it does not: no answer of 500, none that the document does not describe.

A short run that is the same each time; ``make bench ARGS=api-fuzz`` takes longer and follows links between operations.
"""

import warnings

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.integration.test_api.support import TOKEN

# Streams have no end; they have tests of their own.
STREAMS = {"streamReleaseEvents", "streamEvents", "streamFlagEvents"}
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip
EXAMPLES = 2


@pytest.mark.timeout(480)  # every operation, several requests each
@pytest.mark.parametrize("authorised", [True, False], ids=["with a token", "without a token"])
def test_no_request_gets_an_answer_that_the_document_does_not_describe(api, authorised):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = schemathesis.openapi.from_dict(api.client.get("/openapi.json", timeout=90).json())
        operations = [found.ok() for found in document.get_all_operations()]
    operations = [each for each in operations if each.definition.raw.get("operationId") not in STREAMS]
    headers = {"Authorization": f"Bearer {TOKEN}"} if authorised else {}
    failures, asked = {}, 0
    for operation in operations:
        for mode in GenerationMode if authorised else [GenerationMode.POSITIVE]:
            cases = []
            try:
                collect(operation, mode, cases)
            except Exception as error:  # an operation without parameters has nothing to get wrong
                if "Unsatisfiable" not in type(error).__name__ and not isinstance(error, TypeError):
                    raise
            for case in cases[: EXAMPLES if authorised else 1]:
                asked += 1
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        answer = case.call(base_url=api.url, headers=headers, timeout=20)
                        case.validate_response(answer, checks=CHECKS)
                except (FailureGroup, AssertionError) as failure:
                    failures.setdefault(operation.label, str(failure.exceptions if isinstance(failure, FailureGroup) else failure)[:900])
    assert failures == {}, "\n".join(f"{label}: {said}" for label, said in failures.items())
    assert asked >= len(operations)


def collect(operation, mode, cases):
    """Some cases of an operation, the same each time."""

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case):
        cases.append(case)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each()
