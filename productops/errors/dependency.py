"""What others did not answer, or answered nonsense."""

from __future__ import annotations

from productops.errors.base import ProductOpsError


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


class DevelopmentSourceError(DependencyError):
    """GitHub, GitLab or Jira did not answer, or its answer means nothing; what was read before stays, and so does the cursor."""

    slug = "development-source-failed"
    title = "A development source failed"


class DevelopmentSourceBusyError(DevelopmentSourceError):
    """A development source asks for fewer questions; ``extra["retry_after_s"]`` is how long it wants peace."""

    status = 503
    slug = "development-source-busy"
    title = "A development source asks for patience"


class EventsBusyError(DependencyError):
    """Usage events come faster than they can be kept; none of the request was kept. Send it again, with the same ids."""

    status = 503
    slug = "events-busy"
    title = "Usage events come too fast"
    exit_code = 75


class EventsDiskFullError(EventsBusyError):
    """There is too little space left for usage events; none of the request was kept."""

    slug = "events-disk-full"
    title = "No space for usage events"


class EventSourceError(DependencyError):
    """Mixpanel or Amplitude did not answer, or its answer means nothing; what was read before stays, and so does the cursor."""

    slug = "event-source-failed"
    title = "A source of usage events failed"


class EventSourceBusyError(EventSourceError):
    """A source of usage events asks for fewer questions; ``extra["retry_after_s"]`` is how long it wants peace."""

    status = 503
    slug = "event-source-busy"
    title = "A source of usage events asks for patience"
    exit_code = 75


class StoreUnavailableError(DependencyError):
    """The database did not answer; nothing was changed."""

    status = 503
    slug = "store-unavailable"
    title = "The database is unavailable"
