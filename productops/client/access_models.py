"""Documents of access. Written by `make docs` from the OpenAPI document; do not edit."""
# fmt: off

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict
from productops.client.common_models import (Role)


class CallerOut(TypedDict):
    """Who sends the request, and what they may do."""
    name: str
    kind: str
    grants: list[GrantOut]
    operations: list[Operation] | None
    token_id: str | None


class GovernanceAccessCheckOut(TypedDict):
    """A decision, explained."""
    allowed: bool
    sentence: str


class GrantBody(TypedDict):
    """A role for somebody, who is made when there is nobody of that name."""
    name: str
    kind: NotRequired[Literal['person', 'service', 'group']]
    role: Role
    venture: str
    environment: NotRequired[Literal['*', 'development', 'staging', 'production']]
    reason: NotRequired[str]
    email: NotRequired[str]
    expires_at: NotRequired[str | None]


class GrantOut(TypedDict):
    """A role in a venture and an environment; `*` is all of them."""
    role: Role
    venture: str
    environment: str


class GroupOut(TypedDict):
    """What everybody in a group may do."""
    name: str
    grants: list[HeldGrantOut]


class GroupsOut(TypedDict):
    """Groups that were granted anything, by name."""
    items: list[GroupOut]


class HeldGrantOut(TypedDict):
    """A grant with where it comes from."""
    role: Role
    venture: str
    environment: str
    given_by: str
    given_at: str
    expires_at: str | None
    group: str | None
    declared: bool


class LoginLinkOut(TypedDict):
    """A link that works once. It is shown here and nowhere else."""
    path: str
    expires_at: str


class NewTokenOut(TypedDict):
    """A token with its secret, which is shown this once."""
    token: TokenOut
    secret: str


Operation = Literal['catalog.read', 'catalog.apply', 'release.read', 'release.request', 'release.force', 'release.pause', 'release.roll-back', 'flag.read', 'flag.evaluate', 'flag.change', 'flag.kill', 'window.read', 'window.bypass', 'incident.read', 'incident.report', 'incident.resolve', 'metric.read', 'metric.write', 'router.restart', 'approval.read', 'approval.sign', 'approval.override', 'change.read', 'audit.read', 'audit.anchor', 'audit.erase', 'bundle.read', 'compliance.read', 'compliance.check', 'compliance.waive', 'quality.read', 'quality.validate', 'quality.waive', 'quality.sign-off', 'quality.quarantine', 'quality.improve', 'development.read', 'development.sync', 'development.plan', 'development.overrule', 'analytics.read', 'analytics.write', 'analytics.erase', 'experiment.change', 'insight.decide', 'performance.optimize', 'report.send', 'capacity.scale', 'alert.set', 'alert.silence', 'incident.respond', 'incident.drill', 'oncall.change', 'status.publish', 'log.read', 'telemetry.write', 'security.read', 'security.respond', 'webhook.read', 'webhook.send', 'webhook.retry', 'webhook.manage', 'token.own', 'access.read', 'access.manage', 'prefect.read', 'prefect.manage']


class PeopleOut(TypedDict):
    """People and service accounts, by name."""
    items: list[PersonOut]


class PersonOut(TypedDict):
    """Somebody, or a service account."""
    name: str
    kind: str
    email: str
    disabled: bool
    declared_in: str | None
    groups: list[str]
    grants: list[HeldGrantOut]


class PersonStateBody(TypedDict):
    """Shut somebody out, or let them in again."""
    name: str
    disabled: bool
    reason: str


class RevocationBody(TypedDict):
    """Which grant is taken away."""
    name: str
    kind: NotRequired[Literal['person', 'service', 'group']]
    role: Role
    venture: str
    environment: NotRequired[Literal['*', 'development', 'staging', 'production']]
    reason: NotRequired[str]


class RotationBody(TypedDict):
    """How the change from one secret to the next goes."""
    overlap_s: NotRequired[int]
    life_s: NotRequired[int]


class SessionOut(TypedDict):
    """A browser that is logged in."""
    id: str
    principal: str
    way: str
    browser: str
    began_at: str
    used_at: str


class SessionsOut(TypedDict):
    """Living sessions, those used last first."""
    items: list[SessionOut]


class TokenBody(TypedDict):
    """What a token is for."""
    name: str
    owner: NotRequired[str | None]
    operations: NotRequired[list[Operation] | None]
    venture: NotRequired[str]
    environment: NotRequired[Literal['*', 'development', 'staging', 'production']]
    life_s: NotRequired[int]


class TokenList(TypedDict):
    """Tokens, newest first."""
    items: list[TokenOut]


class TokenOut(TypedDict):
    """A token without its secret."""
    id: str
    owner: str
    name: str
    state: str
    operations: list[Operation] | None
    venture: str
    environment: str
    created_by: str
    created_at: str
    expires_at: str
    last_used_at: str | None
    rotated_at: str | None
    previous_until: str | None
    revoked_at: str | None
