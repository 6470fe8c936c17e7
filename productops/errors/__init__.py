"""Every error this product raises on purpose.

ProductOpsError
├── InvalidInputError            422  the caller must change the request
│   ├── CatalogError             422  a catalog file is wrong (file, line, reason)
│   ├── SettingsError            422  a setting is missing or impossible
│   ├── CalendarError            422  a calendar of freezes or windows cannot be read
│   ├── QualityInputError        422  a report of a test, coverage, security or performance tool cannot be read
│   ├── RiskModelError           422  a stored model of risk cannot be read
│   ├── SeriesLimitError         422  a venture would have more series of metrics than the limit
│   ├── UnsupportedError         422  the router or target cannot do what the rollout needs
│   ├── PreconditionRequiredError 428 the call must say which revision it changes
│   ├── ImpossiblePolicyError    422  there are not enough people for an approval policy
│   ├── ImpossiblePlanError      422  no plan of the work can keep all constraints; a smallest conflicting set is named
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
│   ├── QualityGateError         409  the quality gates do not let the version out
│   ├── BudgetSpentError         409  nothing is left of the error budget of the service
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
│   ├── DevelopmentSourceError   502  GitHub, GitLab or Jira did not answer, or nonsense (retryable)
│   │   └── DevelopmentSourceBusyError 503  it asks for patience          (retryable)
│   ├── EventsBusyError          503  usage events come faster than they can be kept (retryable)
│   │   └── EventsDiskFullError  503  no space is left for usage events  (retryable)
│   ├── EventSourceError         502  Mixpanel or Amplitude did not answer, or nonsense (retryable)
│   │   └── EventSourceBusyError 503  it asks for patience                (retryable)
│   ├── CalendarSourceError      502  a calendar cannot be had from its file or address (retryable)
│   └── StoreUnavailableError    503  the database did not answer             (retryable)
└── StackError                   500  the processes of `productops up`
    ├── AlreadyRunningError      409  a stack runs in this home already
    ├── NotRunningError          503  no stack answers
    └── PortTakenError           409  another program listens on a port we need
"""

from __future__ import annotations

from collections.abc import Iterator

from productops.errors.base import (
    AuditBrokenError,
    CandidateUnhealthyError,
    ForbiddenError,
    NotFoundError,
    ProductOpsError,
    SelfApprovalError,
    TooManyRequestsError,
    UnauthorizedError,
    WebhookRefusedError,
)
from productops.errors.conflict import (
    AgentDeposedError,
    AlreadyLiveError,
    ApprovalNeededError,
    BudgetSpentError,
    ChangeFrozenError,
    ConflictError,
    FlagKilledError,
    IdempotencyError,
    IdempotencyInFlightError,
    IllegalTransitionError,
    LeaseLostError,
    QualityGateError,
    QuarantinedError,
    ReleaseInFlightError,
    RevisionMismatchError,
    TakenOverError,
)
from productops.errors.dependency import (
    CalendarSourceError,
    DependencyError,
    DevelopmentSourceBusyError,
    DevelopmentSourceError,
    EventsBusyError,
    EventsDiskFullError,
    EventSourceBusyError,
    EventSourceError,
    IdentityProviderError,
    MetricSourceError,
    OrchestratorError,
    RateLimitedError,
    RouterError,
    StoreUnavailableError,
)
from productops.errors.invalid import (
    BundleChangedError,
    BundleSignatureError,
    BundleUnreadableError,
    CalendarError,
    CatalogError,
    DependencyCycleError,
    DowngradeError,
    ImpossiblePlanError,
    ImpossiblePolicyError,
    InvalidInputError,
    PreconditionRequiredError,
    QualityInputError,
    RiskModelError,
    SeriesLimitError,
    SettingsError,
    UnsupportedError,
)
from productops.errors.stack import (
    AlreadyRunningError,
    NotRunningError,
    PortTakenError,
    StackError,
)

__all__ = [
    "AgentDeposedError",
    "AlreadyLiveError",
    "AlreadyRunningError",
    "ApprovalNeededError",
    "AuditBrokenError",
    "BudgetSpentError",
    "BundleChangedError",
    "BundleSignatureError",
    "BundleUnreadableError",
    "CalendarError",
    "CalendarSourceError",
    "CandidateUnhealthyError",
    "CatalogError",
    "ChangeFrozenError",
    "ConflictError",
    "DependencyCycleError",
    "DependencyError",
    "DevelopmentSourceBusyError",
    "DevelopmentSourceError",
    "DowngradeError",
    "EventSourceBusyError",
    "EventSourceError",
    "EventsBusyError",
    "EventsDiskFullError",
    "FlagKilledError",
    "ForbiddenError",
    "IdempotencyError",
    "IdempotencyInFlightError",
    "IdentityProviderError",
    "IllegalTransitionError",
    "ImpossiblePlanError",
    "ImpossiblePolicyError",
    "InvalidInputError",
    "LeaseLostError",
    "MetricSourceError",
    "NotFoundError",
    "NotRunningError",
    "OrchestratorError",
    "PortTakenError",
    "PreconditionRequiredError",
    "ProductOpsError",
    "QualityGateError",
    "QualityInputError",
    "QuarantinedError",
    "RateLimitedError",
    "ReleaseInFlightError",
    "RevisionMismatchError",
    "RiskModelError",
    "RouterError",
    "SelfApprovalError",
    "SeriesLimitError",
    "SettingsError",
    "StackError",
    "StoreUnavailableError",
    "TakenOverError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnsupportedError",
    "WebhookRefusedError",
    "error_classes",
]


def error_classes(root: type[ProductOpsError] = ProductOpsError) -> Iterator[type[ProductOpsError]]:
    """The tree drawn above, parents first; private kinds of other modules answer as their parent and are left out."""
    yield root
    for child in root.__subclasses__():
        if child.__module__.startswith(f"{__name__}."):
            yield from error_classes(child)
