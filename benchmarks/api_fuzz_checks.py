"""What schemathesis checks besides its own: loaded by it, in its process."""

from __future__ import annotations

import schemathesis
from schemathesis.core.failures import Failure

# What no schema can say (a rule of ours, a text of blanks), and 1.0, which is an integer to JSON Schema and not to us.
_MEANT = ("Value error", "Assertion failed", "Input should be a valid integer", "String should have at least 1 character")


@schemathesis.check
def fitting_requests_are_not_refused_for_their_form(ctx, response, case):  # type: ignore[no-untyped-def]
    """A body that the document allows may be refused for what it is about, never with a list of wrong fields."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or response.status_code != 422:
        return
    wrong = response.json().get("errors", ())
    if wrong and not any(e["reason"].startswith(_MEANT) for e in wrong):
        raise Failure(operation=case.operation.label, title="A fitting request was refused for its form", message=str(wrong)[:500])


@schemathesis.check
def problems_are_problems(ctx, response, case):  # type: ignore[no-untyped-def]
    """Every error is a problem with a slug and a request id, but for those of OFREP."""
    if response.status_code < 400 or case.path.startswith("/ofrep/"):
        return
    kind = response.headers.get("content-type", [""])[0]
    if not kind.startswith("application/problem+json"):
        raise Failure(operation=case.operation.label, title="An error is no problem document", message=kind)
    if not {"slug", "detail", "request_id"} <= response.json().keys():
        raise Failure(operation=case.operation.label, title="A problem without slug or request id", message=response.text[:300])
