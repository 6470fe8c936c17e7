"""The base of all deliberate errors, and those of who may do what and what is not there."""

from __future__ import annotations

from typing import Any, ClassVar

from productops.redaction import redact


class ProductOpsError(Exception):
    """Base of all deliberate errors; ``str()`` is a sentence a user can act on.

    ``status`` is the HTTP answer, ``slug`` the stable name in problem+json and in the docs,
    ``retryable`` whether the same call may succeed later, ``exit_code`` what the CLI returns.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 70

    def __init__(self, detail: str, **extra: Any) -> None:
        # At its birth: the text of an error reaches logs, answers, Prefect and its database.
        detail = redact(detail)
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotFoundError(ProductOpsError):
    """The named venture, service, version, environment or release does not exist."""

    status = 404
    slug = "not-found"
    title = "Not found"
    exit_code = 66


class UnauthorizedError(ProductOpsError):
    """The call carries no valid bearer token."""

    status = 401
    slug = "unauthorized"
    title = "Not authorised"
    exit_code = 77


class WebhookRefusedError(UnauthorizedError):
    """The webhook does not prove that it comes from its source: a wrong signature or token, or a time too far from ours."""

    slug = "webhook-refused"
    title = "Webhook refused"


class TooManyRequestsError(ProductOpsError):
    """The caller asks more often than it may; ``Retry-After`` says when to come back."""

    status = 429
    slug = "rate-limited"
    title = "Too many requests"
    retryable = True
    exit_code = 75


class ForbiddenError(ProductOpsError):
    """No grant of the caller allows it; ``extra["operation"]`` names what was asked."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"
    exit_code = 77


class SelfApprovalError(ForbiddenError):
    """A change cannot be approved by the one who asked for it."""

    slug = "self-approval"
    title = "Somebody else has to approve it"
    exit_code = 77


class CandidateUnhealthyError(ProductOpsError):
    """The candidate's instances never became healthy; ``extra`` carries the last log lines."""

    status = 424
    slug = "candidate-unhealthy"
    title = "Candidate never became healthy"
    exit_code = 3


class AuditBrokenError(ProductOpsError):
    """The audit log does not fit its hashes or its anchors: somebody changed it past this product; ``extra`` names the entry."""

    status = 500
    slug = "audit-broken"
    title = "The audit log was tampered with"
    exit_code = 76
