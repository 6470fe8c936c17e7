"""AWS: weights of target groups behind an Application Load Balancer, and of versions behind a Lambda alias."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from productops.adapters.router_term import RouterTerm
from productops.domain.capabilities import LatencyDetail, RouterCapabilities
from productops.domain.routing import RouterReading, ServiceRoute, VersionKey
from productops.errors import ConflictError, DependencyError, NotFoundError, RouterError, SettingsError, UnsupportedError

_NO_COUNTERS = {"latency": LatencyDetail.NONE, "counters": False, "sticky": False, "test_header": False, "without_baseline": False}

ALB_CAPABILITIES = RouterCapabilities("AWS load balancer", weight_step_pct=1.0, **_NO_COUNTERS)  # type: ignore[arg-type]
"""Stickiness to a target group outlives its weight: users would stay on a candidate that was taken back. So it is never turned on."""
LAMBDA_CAPABILITIES = RouterCapabilities("AWS Lambda alias", weight_step_pct=1.0, **_NO_COUNTERS)  # type: ignore[arg-type]

Place = tuple[str, str]
"""Service and environment."""


@dataclass(frozen=True, slots=True)
class Forwarding:
    """Where a service's requests are split: a rule, or a listener's default action; and its target groups by version.

    ``target_group`` is a name with {service}, {environment} and {version}, in which dots and pluses become hyphens.
    """

    target_group: str
    rule_arn: str = ""
    listener_arn: str = ""


@dataclass(frozen=True, slots=True)
class Alias:
    """A Lambda function and the alias its callers use."""

    function: str
    alias: str


def aws_client(service: str, *, region: str = "", profile: str = "") -> Any:
    """A client of ``elbv2`` or ``lambda`` with the machine's own credentials, which stay inside boto3.

    Raises: SettingsError without boto3 (extra ``aws``), or without a region or such a profile.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise SettingsError("AWS needs boto3: install productops[aws]") from error
    limits = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
    try:
        return boto3.Session(region_name=region or None, profile_name=profile or None).client(service, config=limits)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"AWS cannot be used: {error}") from error


class _AwsRouter(ABC):
    """What both routers share: one service after the other, under the agent's term, and no counters."""

    def __init__(self, client: Any, folder: Path) -> None:
        self._client = client
        self._term = RouterTerm(folder)
        self._lock = threading.Lock()
        self._confirmed: dict[Place, tuple[object, ...]] = {}

    def claim(self, term: int) -> None:
        """Write as the agent of ``term`` from now on. Raises: RouterError when a later one has the router."""
        self._term.claim(term)

    def latest_term(self) -> int:
        """The last term that claimed the router on this machine; 0 when none has."""
        return self._term.latest()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def ready(self) -> bool:
        """Whether there is anything to set; AWS is asked when there is."""
        return True

    def apply(self, routes: Sequence[ServiceRoute]) -> None:
        """Set the weights of every service that changed and read them back. Services without an entry are left alone.

        Raises: RouterError naming each service that was not set, and why; the others are.
        """
        problems: list[str] = []
        with self._lock, self._term.held():
            for route in routes:
                place = (route.service, str(route.environment))
                try:
                    shares = shares_of(route)
                    if self._confirmed.get(place) == (wanted := tuple(sorted(shares.items()))):
                        continue
                    self._confirmed.pop(place, None)
                    if self._set(route, place, shares):
                        self._confirmed[place] = wanted
                except (DependencyError, ConflictError, NotFoundError, UnsupportedError) as error:
                    problems.append(f"{route.service} in {route.environment}: {error}")
        if problems:
            raise RouterError("; ".join(problems))

    def requests_in_flight(self) -> Mapping[tuple[VersionKey, int], int]:
        """Nothing: AWS drains deregistered targets by itself."""
        return {}

    def read(self) -> RouterReading:
        """Raises: RouterError; put a metric source in front (``MeteredRouter``)."""
        raise RouterError("AWS counts no requests by version here; name a metric source with traffic queries for this router")

    @abstractmethod
    def _set(self, route: ServiceRoute, place: Place, shares: Mapping[str, int]) -> bool:
        """Whether the service has an entry, and its weights are set and confirmed."""


def shares_of(route: ServiceRoute) -> dict[str, int]:
    """Whole percents by version; they sum to 100. Raises: UnsupportedError for what AWS cannot do, or without a baseline."""
    exposed = route.candidate_version is not None and (route.candidate_pct > 0 or route.header_only)
    if exposed and (route.segments or route.mirror is not None or route.header_only):
        raise UnsupportedError("segments, mirrored requests and the test header are not supported on AWS; the weights stay as they are")
    if route.baseline_version is None:
        raise UnsupportedError("without a baseline nothing can be weighted; the weights stay as they are")
    share = max(0, min(100, route.candidate_pct)) if exposed else 0
    if not share or route.candidate_version is None:
        return {route.baseline_version: 100}
    return {route.candidate_version: 100} if share == 100 else {route.baseline_version: 100 - share, route.candidate_version: share}


class AlbRouter(_AwsRouter):
    """The ``Router`` port on target groups. Their targets are registered by whoever runs them (an autoscaling group, ECS)."""

    capabilities = ALB_CAPABILITIES

    def __init__(self, client: Any, forwardings: Mapping[Place, Forwarding], *, folder: Path) -> None:
        super().__init__(client, folder)
        self._forwardings = dict(forwardings)

    def _set(self, route: ServiceRoute, place: Place, shares: Mapping[str, int]) -> bool:  # noqa: ARG002 - Lambda's needs it
        forwarding = self._forwardings.get(place)
        if forwarding is None:
            return False
        weights = {self._target_group(forwarding, place, version): weight for version, weight in shares.items()}
        action = {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in sorted(weights.items())],
                "TargetGroupStickinessConfig": {"Enabled": False},
            },
        }
        if forwarding.rule_arn:
            _call("modify the rule", lambda: self._client.modify_rule(RuleArn=forwarding.rule_arn, Actions=[action]))
            found = _call("read the rule", lambda: self._client.describe_rules(RuleArns=[forwarding.rule_arn]))["Rules"][0]["Actions"]
        else:
            arn = forwarding.listener_arn
            _call("modify the listener", lambda: self._client.modify_listener(ListenerArn=arn, DefaultActions=[action]))
            found = _call("read the listener", lambda: self._client.describe_listeners(ListenerArns=[arn]))["Listeners"][0][
                "DefaultActions"
            ]
        if (serves := _weights(found)) != weights:
            raise RouterError(f"the load balancer has the weights {serves} and not {weights}")
        return True

    def _target_group(self, forwarding: Forwarding, place: Place, version: str) -> str:
        values = {
            "{service}": place[0],
            "{environment}": place[1],
            "{version}": version.replace(".", "-").replace("+", "-").replace("_", "-"),
        }
        name = forwarding.target_group
        for placeholder, value in values.items():
            name = name.replace(placeholder, value)
        found = _call(f"find the target group {name}", lambda: self._client.describe_target_groups(Names=[name]))["TargetGroups"]
        return str(found[0]["TargetGroupArn"])


class LambdaRouter(_AwsRouter):
    """The ``Router`` port on aliases. A release's version is a published version's number, or its description."""

    capabilities = LAMBDA_CAPABILITIES

    def __init__(self, client: Any, aliases: Mapping[Place, Alias], *, folder: Path) -> None:
        super().__init__(client, folder)
        self._aliases = dict(aliases)

    def _set(self, route: ServiceRoute, place: Place, shares: Mapping[str, int]) -> bool:
        alias = self._aliases.get(place)
        if alias is None:
            return False
        numbers = {self._number(alias, version): share for version, share in shares.items()}
        main = max(numbers, key=lambda number: (numbers[number], number == self._number(alias, route.baseline_version or "")))
        weights = {number: share / 100 for number, share in numbers.items() if number != main}
        names = {"FunctionName": alias.function, "Name": alias.alias}
        before = _call(f"read the alias {alias.alias}", lambda: self._client.get_alias(**names))
        wanted = {
            **names,
            "FunctionVersion": main,
            "RoutingConfig": {"AdditionalVersionWeights": weights},
            "RevisionId": before["RevisionId"],
        }
        _call(f"move the alias {alias.alias}", lambda: self._client.update_alias(**wanted))
        after = _call(f"read the alias {alias.alias}", lambda: self._client.get_alias(**names))
        serves = (after["FunctionVersion"], (after.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {})
        if serves != (main, weights):
            raise RouterError(f"the alias {alias.alias} of {alias.function} serves {serves} and not {(main, weights)}")
        return True

    def _number(self, alias: Alias, version: str) -> str:
        """Raises: NotFoundError when no published version has this number or description."""
        if version.isdigit():
            return version
        marker: dict[str, str] = {}
        while True:
            page = _call("list versions", partial(self._client.list_versions_by_function, FunctionName=alias.function, **marker))
            for entry in page["Versions"]:
                if entry.get("Description") == version and entry["Version"] != "$LATEST":
                    return str(entry["Version"])
            if not page.get("NextMarker"):
                raise NotFoundError(f"the function {alias.function} has no published version with the description {version!r}")
            marker = {"Marker": page["NextMarker"]}


def _weights(actions: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    forward = next((a.get("ForwardConfig") or {} for a in actions if a.get("Type") == "forward"), {})
    return {str(group["TargetGroupArn"]): int(group.get("Weight", 1)) for group in forward.get("TargetGroups", ())}


def _call(what: str, call: Callable[[], Any]) -> Any:
    """Raises: NotFoundError, ConflictError for a revision that has passed, DependencyError with AWS' own code and words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except ClientError as error:
        code, message = error.response.get("Error", {}).get("Code", ""), error.response.get("Error", {}).get("Message", "")
        if code.endswith("NotFound") or code in {"ResourceNotFoundException", "TargetGroupNotFoundException"}:
            raise NotFoundError(f"AWS could not {what}: {message or code}") from error
        if code in {"PreconditionFailedException", "ResourceConflictException"}:
            raise ConflictError(f"AWS could not {what}: somebody else changed it at the same moment ({message or code})") from error
        raise DependencyError(f"AWS could not {what}: {code}: {message}") from error
    except BotoCoreError as error:
        raise DependencyError(f"AWS could not {what}: {error}") from error
