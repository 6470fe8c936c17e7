"""Who may do what, where: roles, operations, grants, and the one decision that everything asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from productops.domain.release import Environment

ANY: Final = "*"


class Role(StrEnum):
    """What somebody is to a venture. The requirements' chairman is the director."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    RELEASE_MANAGER = "release-manager"
    INCIDENT_COMMANDER = "incident-commander"
    DIRECTOR = "director"
    ADMIN = "admin"


class Operation(StrEnum):
    """What can be asked of the product. Every route, command, flow entry and tool stands for exactly one of them."""

    CATALOG_READ = "catalog.read"
    CATALOG_APPLY = "catalog.apply"
    RELEASE_READ = "release.read"
    RELEASE_REQUEST = "release.request"
    RELEASE_FORCE = "release.force"
    RELEASE_PAUSE = "release.pause"
    RELEASE_ROLL_BACK = "release.roll-back"
    FLAG_READ = "flag.read"
    FLAG_EVALUATE = "flag.evaluate"
    FLAG_CHANGE = "flag.change"
    FLAG_KILL = "flag.kill"
    WINDOW_READ = "window.read"
    WINDOW_BYPASS = "window.bypass"
    INCIDENT_READ = "incident.read"
    INCIDENT_REPORT = "incident.report"
    INCIDENT_RESOLVE = "incident.resolve"
    METRIC_READ = "metric.read"
    METRIC_WRITE = "metric.write"
    ROUTER_RESTART = "router.restart"
    APPROVAL_READ = "approval.read"
    APPROVAL_SIGN = "approval.sign"
    APPROVAL_OVERRIDE = "approval.override"
    CHANGE_READ = "change.read"
    AUDIT_READ = "audit.read"
    AUDIT_ANCHOR = "audit.anchor"
    AUDIT_ERASE = "audit.erase"
    BUNDLE_READ = "bundle.read"
    COMPLIANCE_READ = "compliance.read"
    COMPLIANCE_CHECK = "compliance.check"
    COMPLIANCE_WAIVE = "compliance.waive"
    QUALITY_READ = "quality.read"
    QUALITY_VALIDATE = "quality.validate"
    QUALITY_WAIVE = "quality.waive"
    QUALITY_SIGN_OFF = "quality.sign-off"
    QUALITY_QUARANTINE = "quality.quarantine"
    QUALITY_IMPROVE = "quality.improve"
    DEVELOPMENT_READ = "development.read"
    DEVELOPMENT_SYNC = "development.sync"
    DEVELOPMENT_PLAN = "development.plan"
    DEVELOPMENT_OVERRULE = "development.overrule"
    ANALYTICS_READ = "analytics.read"
    ANALYTICS_WRITE = "analytics.write"
    ANALYTICS_ERASE = "analytics.erase"
    EXPERIMENT_CHANGE = "experiment.change"
    INSIGHT_DECIDE = "insight.decide"
    PERFORMANCE_OPTIMIZE = "performance.optimize"
    REPORT_SEND = "report.send"
    CAPACITY_SCALE = "capacity.scale"
    ALERT_SET = "alert.set"
    ALERT_SILENCE = "alert.silence"
    INCIDENT_RESPOND = "incident.respond"
    INCIDENT_DRILL = "incident.drill"
    ONCALL_CHANGE = "oncall.change"
    STATUS_PUBLISH = "status.publish"
    LOG_READ = "log.read"
    TELEMETRY_WRITE = "telemetry.write"
    SECURITY_READ = "security.read"
    SECURITY_RESPOND = "security.respond"
    WEBHOOK_READ = "webhook.read"
    WEBHOOK_SEND = "webhook.send"
    WEBHOOK_RETRY = "webhook.retry"
    WEBHOOK_MANAGE = "webhook.manage"
    TOKEN_OWN = "token.own"  # noqa: S105 - the name of an operation
    ACCESS_READ = "access.read"
    ACCESS_MANAGE = "access.manage"
    PREFECT_READ = "prefect.read"
    PREFECT_MANAGE = "prefect.manage"


_READS = frozenset(
    {
        Operation.CATALOG_READ, Operation.RELEASE_READ, Operation.FLAG_READ, Operation.FLAG_EVALUATE, Operation.WINDOW_READ,
        Operation.INCIDENT_READ, Operation.METRIC_READ, Operation.APPROVAL_READ, Operation.CHANGE_READ, Operation.COMPLIANCE_READ,
        Operation.TOKEN_OWN, Operation.PREFECT_READ, Operation.QUALITY_READ, Operation.DEVELOPMENT_READ,
        Operation.ANALYTICS_READ,
    }
)  # fmt: skip
_BUILDS = _READS | {
    Operation.RELEASE_REQUEST, Operation.RELEASE_PAUSE, Operation.FLAG_CHANGE, Operation.INCIDENT_REPORT, Operation.METRIC_WRITE,
    Operation.BUNDLE_READ, Operation.WEBHOOK_SEND, Operation.QUALITY_VALIDATE, Operation.DEVELOPMENT_SYNC, Operation.DEVELOPMENT_PLAN,
    Operation.ANALYTICS_WRITE, Operation.EXPERIMENT_CHANGE, Operation.INSIGHT_DECIDE, Operation.PERFORMANCE_OPTIMIZE,
    Operation.ALERT_SET, Operation.LOG_READ, Operation.TELEMETRY_WRITE,
}  # fmt: skip
_RELEASES = _BUILDS | {
    Operation.RELEASE_ROLL_BACK, Operation.RELEASE_FORCE, Operation.FLAG_KILL, Operation.WINDOW_BYPASS, Operation.CATALOG_APPLY,
    Operation.APPROVAL_SIGN, Operation.AUDIT_READ, Operation.WEBHOOK_READ,
    Operation.WEBHOOK_RETRY, Operation.COMPLIANCE_CHECK, Operation.ROUTER_RESTART,
    Operation.QUALITY_SIGN_OFF, Operation.QUALITY_WAIVE, Operation.QUALITY_QUARANTINE, Operation.QUALITY_IMPROVE,
    Operation.DEVELOPMENT_OVERRULE, Operation.REPORT_SEND, Operation.CAPACITY_SCALE,
    Operation.ALERT_SILENCE, Operation.INCIDENT_RESPOND, Operation.INCIDENT_DRILL,
}  # fmt: skip
_COMMANDS = _READS | {
    Operation.RELEASE_PAUSE, Operation.RELEASE_ROLL_BACK, Operation.FLAG_KILL, Operation.INCIDENT_REPORT, Operation.INCIDENT_RESOLVE,
    Operation.METRIC_WRITE, Operation.ROUTER_RESTART, Operation.APPROVAL_SIGN, Operation.AUDIT_READ, Operation.BUNDLE_READ,
    Operation.WINDOW_BYPASS, Operation.DEVELOPMENT_OVERRULE, Operation.PERFORMANCE_OPTIMIZE, Operation.CAPACITY_SCALE,
    Operation.ALERT_SET, Operation.ALERT_SILENCE, Operation.INCIDENT_RESPOND, Operation.INCIDENT_DRILL, Operation.ONCALL_CHANGE,
    Operation.STATUS_PUBLISH, Operation.LOG_READ, Operation.TELEMETRY_WRITE, Operation.SECURITY_READ, Operation.SECURITY_RESPOND,
}  # fmt: skip
_DIRECTS = _RELEASES | _COMMANDS | {Operation.APPROVAL_OVERRIDE, Operation.COMPLIANCE_WAIVE, Operation.AUDIT_ANCHOR, Operation.ACCESS_READ}

# A developer pauses and requests, but production may ask for more: that is what approvals are for.
ALLOWED: dict[Role, frozenset[Operation]] = {
    Role.VIEWER: _READS,
    Role.DEVELOPER: _BUILDS,
    Role.RELEASE_MANAGER: _RELEASES,
    Role.INCIDENT_COMMANDER: _COMMANDS,
    Role.DIRECTOR: _DIRECTS,
    Role.ADMIN: frozenset(Operation),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where something happens. ``None``: in all ventures, in all environments; only a grant for all of them covers it."""

    venture: str | None = None
    environment: Environment | None = None

    def __str__(self) -> str:
        where = f"venture {self.venture}" if self.venture else "all ventures"
        return f"{where}, {self.environment}" if self.environment else where


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a venture and an environment; ``*`` means all of them."""

    role: Role
    venture: str = ANY
    environment: str = ANY

    def covers(self, scope: Scope) -> bool:
        """Whether it holds there."""
        return self.venture in {ANY, scope.venture} and self.environment in {ANY, scope.environment and scope.environment.value}

    def touches(self, scope: Scope) -> bool:
        """Whether it holds in some part of there; enough to be shown that part."""
        return (scope.venture is None or self.venture in {ANY, scope.venture}) and (
            scope.environment is None or self.environment in {ANY, scope.environment.value}
        )


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody, or a program, with what it was granted. ``operations`` narrows what a token of theirs may do; None: everything granted.

    ``kind``: ``person``, ``service`` (an account for CI and other programs) or ``machine`` (this product's own processes).
    """

    name: str
    grants: tuple[Grant, ...] = ()
    kind: str = "person"
    operations: frozenset[Operation] | None = None
    token_id: str | None = None

    def roles(self, scope: Scope) -> frozenset[Role]:
        """The roles held there; signatures are counted by them."""
        return frozenset(grant.role for grant in self.grants if grant.covers(scope))


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and the sentence that explains it."""

    allowed: bool
    reason: str


NOBODY = Principal("nobody", kind="machine")
# What the product does of itself was decided when somebody asked for it, or is what the product is for.
MACHINE = Principal("productops", (Grant(Role.ADMIN),), kind="machine")


def decide(principal: Principal, operation: Operation, scope: Scope) -> Decision:
    """The one place that decides. What no grant allows is denied."""
    if principal.operations is not None and operation not in principal.operations:
        return Decision(allowed=False, reason=f"this token of {principal.name} is not for {operation}")
    if any(operation in ALLOWED[grant.role] and grant.covers(scope) for grant in principal.grants):
        return Decision(allowed=True, reason="granted")
    roles = ", ".join(role for role in Role if operation in ALLOWED[role])
    return Decision(allowed=False, reason=f"{principal.name} may not do {operation} in {scope}; it takes one of: {roles}")


def decide_somewhere(principal: Principal, operation: Operation) -> Decision:
    """Whether there is any venture and environment where it is allowed: what a door asks before it knows what the request is about."""
    if principal.operations is not None and operation not in principal.operations:
        return Decision(allowed=False, reason=f"this token of {principal.name} is not for {operation}")
    if any(operation in ALLOWED[grant.role] for grant in principal.grants):
        return Decision(allowed=True, reason="granted")
    roles = ", ".join(role for role in Role if operation in ALLOWED[role])
    return Decision(allowed=False, reason=f"{principal.name} may do {operation} nowhere; it takes one of: {roles}")


def may_see(principal: Principal, operation: Operation, scope: Scope) -> bool:
    """Whether some part of ``scope`` is shown; a reading ``operation`` of what has no environment needs a grant for one of them only."""
    if principal.operations is not None and operation not in principal.operations:
        return False
    return any(operation in ALLOWED[grant.role] and grant.touches(scope) for grant in principal.grants)


def visible_places(principal: Principal, operation: Operation) -> frozenset[tuple[str, str]] | None:
    """Pairs of venture and environment, each perhaps ``*``, whose rows a list may show; None: all of them."""
    if principal.operations is not None and operation not in principal.operations:
        return frozenset()
    places = {(grant.venture, grant.environment) for grant in principal.grants if operation in ALLOWED[grant.role]}
    return None if (ANY, ANY) in places else frozenset(places)


def narrowed(grants: Iterable[Grant], *, venture: str, environment: str) -> tuple[Grant, ...]:
    """What is left of grants where a token is for one venture or environment only; ``*`` narrows nothing."""
    left = []
    for grant in grants:
        meets_venture = ANY in {grant.venture, venture} or grant.venture == venture
        meets_environment = ANY in {grant.environment, environment} or grant.environment == environment
        if meets_venture and meets_environment:
            left.append(
                Grant(
                    grant.role,
                    venture if grant.venture == ANY else grant.venture,
                    environment if grant.environment == ANY else grant.environment,
                )
            )
    return tuple(dict.fromkeys(left))


def exceeds(given: Principal, giver: Principal) -> str | None:
    """What ``given`` could do and ``giver`` could not, as a sentence; None when nobody would be given more than the giver has."""
    for grant in given.grants:
        scope = _scope_of(grant)
        wanted = ALLOWED[grant.role] if given.operations is None else ALLOWED[grant.role] & given.operations
        for operation in sorted(wanted):
            decision = decide(giver, operation, scope)
            if not decision.allowed:
                return f"nobody can give more than they have: {decision.reason}"
    return None


def _scope_of(grant: Grant) -> Scope:
    venture = None if grant.venture == ANY else grant.venture
    return Scope(venture, None if grant.environment == ANY else Environment(grant.environment))


def visible_ventures(principal: Principal, operation: Operation) -> frozenset[str] | None:
    """The ventures whose rows a list may show; None: all of them."""
    if principal.operations is not None and operation not in principal.operations:
        return frozenset()
    ventures = {grant.venture for grant in principal.grants if operation in ALLOWED[grant.role]}
    return None if ANY in ventures else frozenset(ventures)


def strongest(roles: Iterable[Role]) -> Role | None:
    """The last of them in the order they are listed; None for none."""
    return max(roles, key=list(Role).index, default=None)
