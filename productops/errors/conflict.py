"""What somebody else changed first, or the state of things forbids now."""

from __future__ import annotations

from productops.errors.base import ProductOpsError


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


class QualityGateError(ConflictError):
    """The version's quality gates have to pass before it is released, and they did not, or nobody has judged it yet."""

    slug = "quality-gate"
    title = "Quality gates do not let it out"


class BudgetSpentError(ConflictError):
    """Nothing is left of the error budget of the service; `objective` says which. What mends it can be let out for a time."""

    slug = "budget-spent"
    title = "The error budget is spent"


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
