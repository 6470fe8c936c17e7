"""Every error this product raises on purpose.

ProductOpsError
├── InvalidInputError            422  the caller must change the request
│   ├── CatalogError             422  a catalog file is wrong (file, line, reason)
│   ├── SettingsError            422  a setting is missing or impossible
│   ├── CalendarError            422  a calendar of freezes or windows cannot be read
│   ├── QualityInputError        422  a report of a test, coverage, security or performance tool cannot be read
│   ├── UnsupportedError         422  the router or target cannot do what the rollout needs
│   ├── PreconditionRequiredError 428 the call must say which revision it changes
│   ├── ImpossiblePolicyError    422  there are not enough people for an approval policy
│   ├── DependencyCycleError     422  services that are released together depend on each other in a circle
│   ├── BundleUnreadableError    422  a file is no evidence bundle, or a hostile one
│   ├── BundleChangedError       422  an evidence bundle is not what was signed
│   ├── BundleSignatureError     422  an evidence bundle is not signed by a key that is trusted
│   └── DowngradeError           422  the version is older than the live one
├── NotFoundError                404  unknown venture, service, version or release
├── UnauthorizedError            401  no valid bearer token
│   └── WebhookRefusedError      401  a webhook is not from whom it says
├── TooManyRequestsError         429  the caller asks more often than it may      (retryable)
├── ForbiddenError               403  no grant of the caller allows it
│   └── SelfApprovalError        403  somebody else has to approve it
├── ConflictError                409  somebody else changed it first
│   ├── ReleaseInFlightError     409  one rollout per service and environment
│   ├── AlreadyLiveError         409  the version is what users have already
│   ├── QuarantinedError         409  the version was rolled back here and is barred
│   ├── ApprovalNeededError      409  it waits for signatures
│   ├── ChangeFrozenError        409  a freeze, or outside the change windows
│   ├── IllegalTransitionError   409  the state machine has no such edge
│   ├── FlagKilledError          409  the flag is killed; revive it before it is ramped
│   ├── RevisionMismatchError    412  it is not at the revision the caller has seen
│   ├── LeaseLostError           409  another holder, or nobody, has the traffic now
│   ├── AgentDeposedError        409  another agent writes the router now
│   ├── IdempotencyError         409  the key was used for a different request
│   └── IdempotencyInFlightError 409  a request with this key is under way (retryable)
├── CandidateUnhealthyError      424  the candidate never answered its health check
├── AuditBrokenError             500  the audit log was changed behind our back
├── DependencyError              502  an outside system failed                (retryable)
│   ├── RouterError              502  the router did not take a configuration (retryable)
│   ├── OrchestratorError        502  Prefect did not take a run              (retryable)
│   ├── IdentityProviderError    502  the OpenID Connect provider did not answer, or nonsense (retryable)
│   ├── MetricSourceError        502  a metric source did not answer, or nonsense (retryable)
│   │   └── RateLimitedError     503  a metric source asks for patience       (retryable)
│   ├── CalendarSourceError      502  a calendar cannot be had from its file or address (retryable)
│   └── StoreUnavailableError    503  the database did not answer             (retryable)
└── StackError                   500  the processes of `productops up`
    ├── AlreadyRunningError      409  a stack runs in this home already
    ├── NotRunningError          503  no stack answers
    └── PortTakenError           409  another program listens on a port we need
"""

from __future__ import annotations

from collections.abc import Iterator
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


class InvalidInputError(ProductOpsError):
    """The request cannot be carried out as written."""

    status = 422
    slug = "invalid-input"
    title = "Invalid input"
    exit_code = 64


class CatalogError(InvalidInputError):
    """A catalog file is wrong; ``extra`` may carry ``file`` and ``line``."""

    slug = "catalog-invalid"
    title = "Catalog entry is invalid"
    exit_code = 65


class SettingsError(InvalidInputError):
    """A setting is missing, malformed or contradicts another."""

    slug = "settings-invalid"
    title = "Setting is invalid"
    exit_code = 78


class CalendarError(InvalidInputError):
    """A calendar of freezes or windows cannot be read, or goes past the limits; its last good copy stays in force."""

    slug = "calendar-invalid"
    title = "Calendar cannot be read"
    exit_code = 65


class QualityInputError(InvalidInputError):
    """A report of a test, coverage, security or performance tool cannot be read, or is too large; ``extra["where"]`` is the place."""

    slug = "quality-input-invalid"
    title = "Quality input cannot be read"
    exit_code = 65


class UnsupportedError(InvalidInputError):
    """The router or target cannot do what the rollout needs; ``extra["missing"]`` names each thing."""

    slug = "unsupported"
    title = "Not supported here"


class DependencyCycleError(InvalidInputError):
    """Services that are released together depend on each other in a circle; `cycle` names it."""

    slug = "dependency-cycle"
    title = "Dependencies form a circle"


class ImpossiblePolicyError(InvalidInputError):
    """An approval policy needs more signatures than there are people who could give them."""

    slug = "impossible-policy"
    title = "Nobody could sign it"
    exit_code = 65


class BundleUnreadableError(InvalidInputError):
    """A file is no evidence bundle: cut, of another format, or made to do harm. Nothing of it was unpacked."""

    slug = "bundle-unreadable"
    title = "Not an evidence bundle"
    exit_code = 65


class BundleChangedError(InvalidInputError):
    """Something in an evidence bundle is not what was signed; ``extra["file"]`` names it."""

    slug = "bundle-changed"
    title = "The evidence bundle was changed"
    exit_code = 74


class BundleSignatureError(InvalidInputError):
    """An evidence bundle is not signed by a key that is trusted; ``extra["file"]`` names what."""

    slug = "bundle-signature"
    title = "The evidence bundle is not signed by whom you trust"
    exit_code = 77


class DowngradeError(InvalidInputError):
    """The requested version is older than the live one and the caller did not insist."""

    slug = "downgrade"
    title = "Older than the live version"


class PreconditionRequiredError(InvalidInputError):
    """The call must say in `If-Match` which revision it changes."""

    status = 428
    slug = "precondition-required"
    title = "Say which revision you change"


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


class ConflictError(ProductOpsError):
    """The state changed under the caller, or forbids the request."""

    status = 409
    slug = "conflict"
    title = "Conflict"
    exit_code = 75


class ReleaseInFlightError(ConflictError):
    """Another rollout of the same service and environment has not ended."""

    slug = "release-in-flight"
    title = "A release is in flight"


class AlreadyLiveError(ConflictError):
    """The version is the one users have."""

    slug = "already-live"
    title = "Version is already live"


class QuarantinedError(ConflictError):
    """The version was rolled back here and no newer one has succeeded since."""

    slug = "quarantined"
    title = "Version is quarantined"


class ChangeFrozenError(ConflictError):
    """No release may start now: there is a freeze, or no change window is open; `next_at` says when one may."""

    slug = "change-frozen"
    title = "Changes are frozen"


class ApprovalNeededError(ConflictError):
    """Somebody has to sign it first; `approval_id` says what, the text by whom."""

    slug = "approval-needed"
    title = "It waits for approval"


class IllegalTransitionError(ConflictError):
    """The release cannot move from its phase to the asked one."""

    slug = "illegal-transition"
    title = "Illegal move of a release"


class FlagKilledError(ConflictError):
    """The flag is killed in that environment; a ramp would reach nobody."""

    slug = "flag-killed"
    title = "The flag is killed"


class RevisionMismatchError(ConflictError):
    """Somebody changed it since the caller read it: read it again and decide anew."""

    status = 412
    slug = "revision-mismatch"
    title = "Changed since it was read"


class TakenOverError(ConflictError):
    """Another flow run carries this release on; this one may do nothing more."""

    slug = "taken-over"
    title = "The release was taken over"


class LeaseLostError(ConflictError):
    """The caller no longer holds the lease on the candidate's traffic; it may move nothing."""

    slug = "lease-lost"
    title = "Lease lost"


class AgentDeposedError(ConflictError):
    """Another agent writes the router now; this one may write nothing any more."""

    slug = "agent-deposed"
    title = "Another agent writes the router"


class IdempotencyError(ConflictError):
    """The idempotency key was used before with a different request."""

    slug = "idempotency-key-reused"
    title = "Idempotency key reused"


class IdempotencyInFlightError(ConflictError):
    """A request with this idempotency key is under way; repeat this one in a moment to get its answer."""

    slug = "idempotency-in-flight"
    title = "The same request is under way"
    retryable = True


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


class DependencyError(ProductOpsError):
    """An outside system failed or did not answer."""

    status = 502
    slug = "dependency-failed"
    title = "A dependency failed"
    retryable = True
    exit_code = 69


class RouterError(DependencyError):
    """The router refused a configuration or did not confirm it in time."""

    slug = "router-failed"
    title = "The router failed"


class OrchestratorError(DependencyError):
    """Prefect refused a run or did not answer."""

    slug = "orchestrator-failed"
    title = "The orchestrator failed"


class IdentityProviderError(DependencyError):
    """The OpenID Connect provider did not answer, or not as the standard says; nobody was logged in."""

    slug = "identity-provider-failed"
    title = "The identity provider failed"


class MetricSourceError(DependencyError):
    """A metric source did not answer, or its answer means nothing; what it was asked for stays unknown."""

    slug = "metric-source-failed"
    title = "A metric source failed"


class RateLimitedError(MetricSourceError):
    """A metric source asks for fewer questions; ``extra["retry_after_s"]`` is how long it wants peace."""

    status = 503
    slug = "metric-source-busy"
    title = "A metric source asks for patience"


class CalendarSourceError(DependencyError):
    """A calendar cannot be had from its file or address; its last good copy stays in force."""

    slug = "calendar-source-failed"
    title = "A calendar cannot be had"


class StoreUnavailableError(DependencyError):
    """The database did not answer; nothing was changed."""

    status = 503
    slug = "store-unavailable"
    title = "The database is unavailable"


class StackError(ProductOpsError):
    """A process of the local stack cannot run."""

    slug = "stack"
    title = "The stack failed"
    exit_code = 71


class AlreadyRunningError(StackError):
    """A stack runs in this home already."""

    status = 409
    slug = "already-running"
    title = "Already running"


class NotRunningError(StackError):
    """No stack answers; start one with ``productops up``."""

    status = 503
    slug = "not-running"
    title = "Not running"


class PortTakenError(StackError):
    """Another program listens on a port we need."""

    status = 409
    slug = "port-taken"
    title = "Port taken"


def error_classes(root: type[ProductOpsError] = ProductOpsError) -> Iterator[type[ProductOpsError]]:
    """The tree drawn above, parents first; private kinds of other modules answer as their parent and are left out."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == __name__:
            yield from error_classes(child)
