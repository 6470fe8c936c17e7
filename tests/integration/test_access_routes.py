"""Every route of the API and every role: generated from the route table, so that a new route cannot be forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from productops.api import access
from productops.api.access import bind, operation_of
from productops.api.conventions import api_routes
from productops.domain.catalog_development import DevelopmentSourceSpec
from productops.domain.catalog_flags import FlagSpec
from productops.domain.catalog_incident import Matcher
from productops.domain.development import Change, Feature
from productops.domain.development_sync import DevelopmentSource
from productops.domain.governance_access import ALLOWED, Grant, Operation, Role
from productops.domain.incident_alert import Alert
from productops.domain.monitoring_series import Point, SeriesKey
from productops.domain.monitoring_slo_rule import RuleSpec
from productops.domain.monitoring_traces import Span
from productops.domain.quality import CaseResult, Outcome, Parsed
from productops.domain.release_train import MemberWish
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.store.incident_alerts import AlertFilter
from productops.store.monitoring_series import SeriesFilter
from productops.usecases.context import Context
from productops.usecases.development_risk_train import review_risk
from productops.usecases.governance_access import Holder, give
from productops.usecases.governance_security_evidence import EvidenceWish, take_evidence
from productops.usecases.incident import IncidentReport, report_incident
from productops.usecases.incident_alerts import take_alerts
from productops.usecases.incident_cause import find_cause
from productops.usecases.incident_read import find_alerts
from productops.usecases.incident_silence import silence_alerts
from productops.usecases.monitoring_rules import RuleWish, set_rule
from productops.usecases.monitoring_series import list_series, put_points
from productops.usecases.quality_improve import review_quality
from productops.usecases.quality_uploads import accept_upload, incoming_folder
from productops.usecases.quality_validate import ValidateRequest, validate_quality
from productops.usecases.quality_waivers import WaiverWish, add_waiver
from productops.usecases.release_flags_change import create_flag
from productops.usecases.release_request import ReleaseWish, place_release
from productops.usecases.release_train import TrainWish, place_train
from productops.usecases.release_windows_bypass import request_bypass
from tests.integration.development_plan_lab import draft_plan
from tests.integration.quality_learning_lab import add_history, key_of
from tests.integration.test_api.support import TOKEN, HandMadeOrchestrator, client_of, free_ports, person_token, serving
from tests.support import PRODUCTION, SOMEBODY, add_service, make_context, service_spec, sqlite_url

VENTURE, OTHER = "apollo", "gemini"
RULE = RuleSpec.model_validate({"selector": {"name": "queue.depth"}, "condition": {"operator": ">", "threshold": 50}})
PLACES = {
    "here": Grant(Role.VIEWER, VENTURE),
    "another venture": Grant(Role.VIEWER, OTHER),
    "another environment": Grant(Role.VIEWER, VENTURE, "staging"),
}
BYPASS_FOR = timedelta(hours=1)
MISSING = "0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11"
# What is one's own whatever one was granted elsewhere, and what says nothing of any venture.
OWN = {"getCaller", "checkAccess", "listTokens", "createToken", "listSessions", "endSession", "makeLoginLink", "streamFlagEvents"}
OWN_ITEMS = {"listPeople", "listGroups"}  # those of the ventures that the caller is admin of
READS = {operation for operation in Operation if operation.value.endswith((".read", ".evaluate"))}


@dataclass
class House:
    """An application with something of everything in venture apollo, and a token for each role in each place."""

    app: FastAPI
    client: httpx.Client
    tokens: dict[tuple[str, Role], str]
    known: dict[str, str]
    document: dict[str, Any]

    def routes(self) -> list[APIRoute]:
        return [route for route in api_routes(self.app.routes) if operation_of(route) is not None]

    def ask(self, route: APIRoute, token: str) -> tuple[int, Any]:
        method = min(route.methods).lower()
        described = self.document["paths"].get(route.path, {}).get(method, {})
        path = route.path
        for parameter in route.dependant.path_params:
            path = path.replace(f"{{{parameter.name}}}", self.known.get(parameter.name, MISSING))
        query = {p["name"]: self.known[p["name"]] for p in described.get("parameters", []) if p["in"] == "query" and p["name"] in QUERIES}
        body = self._body(described)
        stream = "text/event-stream" in described.get("responses", {}).get("200", {}).get("content", {})
        headers = {"Authorization": f"Bearer {token}", "If-Match": '"1"'}
        if stream:  # it would go on for ever
            with self.client.stream(method, path, params=query, headers=headers) as answer:
                return answer.status_code, {}
        # What the document leaves out are pages, and their forms.
        sent: dict[str, Any] = {"json": body} if described else {"data": {"reason": "x", "shown": "x"}}
        answer = self.client.request(method, path, params=query, headers=headers, **sent)
        return answer.status_code, (answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None)

    def _body(self, described: dict[str, Any]) -> Any:
        content = described.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        schema = content.get("schema", {})
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        shown = schema.get("examples") or [content.get("example", {})]
        return self._ours(shown[0], set(schema.get("properties", {})))

    def _ours(self, example: Any, fields: set[str]) -> Any:
        """The example with names of things that exist here, and with times that are not over."""
        if isinstance(example, list):
            return [self._ours(each, set()) for each in example]
        if not isinstance(example, dict):
            return example
        later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        example = {name: later if name == "at" or name.endswith("_at") else value for name, value in example.items()}
        named = {name: self.known[name] for name in ("service", "venture", "environment") if name in fields or name in example}
        found = {name: self._ours(value, set()) for name, value in example.items()} | named
        if "members" in found:
            found["members"] = [{"service": "shop", "version": "2.0"}]
        return found


QUERIES = {"service", "venture", "environment"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    set_up_logs(Settings(log_level="ERROR"), program="api")
    folder = tmp_path_factory.mktemp("access")
    context = replace(make_context(sqlite_url(folder)), analytics_folder=Path(folder) / "analytics")
    known = furnish(context)
    grants = {(place, role): Grant(role, at.venture, at.environment) for place, at in PLACES.items() for role in Role}
    tokens = {
        (place, role): person_token(context, f"{role} of {place}", grant) for (place, role), grant in grants.items()
    }  # fmt: skip
    settings = Settings(home=Path(folder), port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))
    with serving(context, settings) as app, client_of(settings) as client:
        yield House(app, client, tokens, known, app.openapi())
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def furnish(context: Context) -> dict[str, str]:
    """One of everything in venture apollo, in production; returns what stands for each name in a path."""
    with context.store.write() as unit:
        unit.catalog.put_venture(OTHER, title="", description="", author="tester", now=context.clock.now())
    add_service(context, "shop", service_spec(), live="1.0")
    add_service(context, "cart", service_spec(), live="1.0")
    orchestrated = Context(context.store, context.doorbell, 3.0, orchestrator=HandMadeOrchestrator())
    create_flag(context, "new-checkout", venture=VENTURE, spec=FlagSpec(owner="checkout"), actor=SOMEBODY)
    release = place_release(orchestrated, ReleaseWish("shop", "1.1.0"), actor=SOMEBODY).release
    train = place_train(orchestrated, TrainWish((MemberWish("cart", "1.1.0"),)), actor=SOMEBODY).train
    bypass = request_bypass(context, service="shop", environment=PRODUCTION, version=None, reason="x", valid_for=BYPASS_FOR, actor=SOMEBODY)
    incident = report_incident(context, IncidentReport("Customers cannot pay", "cart"), actor=SOMEBODY).incident["incident_id"]
    find_cause(context, incident, actor=SOMEBODY)
    add_history(context, {"pays": "....R....R......R....F...R...."}, begin=datetime.now(UTC) - timedelta(days=30))
    insight = review_quality(context, "shop", SOMEBODY).insights[0].id
    request = ValidateRequest("shop", "1.1.0")
    run = validate_quality(context, request, Parsed(formats=("junit",), tests=(CaseResult("s", "c", "t", Outcome.PASSED),)), SOMEBODY)
    wish = WaiverWish("shop", "6f1ed002", "mia", "it is known since Monday", datetime.now(UTC) + BYPASS_FOR)
    waiver = add_waiver(context, wish, actor=SOMEBODY)
    with TemporaryDirectory() as uploads:
        incoming = incoming_folder(Path(uploads))
        upload = accept_upload(context, request, incoming, Path(uploads), actor=SOMEBODY)
    tool = DevelopmentSourceSpec.model_validate({"system": "github", "projects": ["acme/shop"], "paused": True})
    with context.store.write() as unit:
        unit.development_sources.put("shop", venture=VENTURE, spec=tool, base="/nowhere", now=context.clock.now())
    evidence = take_evidence(context, EvidenceWish(reason="case 7", venture=VENTURE), actor=SOMEBODY)
    put_points(context, [Point(SeriesKey(VENTURE, "shop", "business", "orders"), context.clock.now().timestamp(), 7.0)], actor=SOMEBODY)
    series = list_series(context, SeriesFilter(venture=VENTURE), actor=SOMEBODY)[0].number
    told = {"service": "shop", "environment": PRODUCTION, "starts_at": context.clock.now(), "summary": "slow"}
    take_alerts(context, [Alert(source="webhook", name="Slow", venture=VENTURE, **told)], actor=SOMEBODY)
    (alert,) = find_alerts(context, AlertFilter(source="webhook"), actor=SOMEBODY)
    later = datetime.now(UTC) + BYPASS_FOR
    silence = silence_alerts(context, VENTURE, (Matcher(field="service", value="shop"),), reason="known", ends_at=later, actor=SOMEBODY)
    span = Span("a" * 32, "b" * 16, "", VENTURE, "shop", PRODUCTION, "GET /pay", int(context.clock.now().timestamp() * 1e6), 900)
    with context.store.write() as unit:
        unit.traces.add([span])
    rule = set_rule(context, RuleWish(VENTURE, "queue", RULE, environment=PRODUCTION), actor=SOMEBODY)
    with context.store.read() as unit:
        seq = next(e.seq for e in unit.audit.following(0) if e.subject == f"release/{release.id}")
    return {
        "release_id": release.id, "train_id": train.id, "key": "new-checkout", "name": "shop", "service": "shop", "venture": VENTURE,
        "environment": "production", "version": "2.0", "bypass_id": bypass.id, "incident_id": incident, "seq": str(seq),
        "change_id": MISSING, "token_id": "0" * 12, "run_id": run.id, "waiver_id": waiver.id, "upload_id": upload.id,
        "test_key": key_of("pays"), "insight_id": insight, "plan_id": draft_plan(context), "week": "2026-W40", "rule_id": rule.id,
        "evidence_id": evidence.id, "position": "0", "number": str(series), "trace_id": span.trace_id, "alert_id": alert.id,
        "silence_id": silence.id,
        **develop(context, tool),
    }  # fmt: skip


def develop(context: Context, tool: DevelopmentSourceSpec) -> dict[str, str]:
    """A feature, a change with what was said of it, and the cause of an incident."""
    now = context.clock.now()
    told = (
        Feature(external_id="1", key="acme/shop#1", title="Apple Pay", changed_at=now),
        Change(external_id="2", key="acme/shop#2", repository="acme/shop", title="pay", opened_at=now, changed_at=now),
    )
    with context.store.write() as unit:
        unit.development.put(DevelopmentSource("shop", VENTURE, tool), told, now=now)
    review_risk(context, VENTURE, actor=SOMEBODY)
    with context.store.read() as unit:
        return {
            "feature_id": unit.development.of(Feature)[0].id, "subject": unit.development.of(Change)[0].id,
            "attribution_id": unit.attributions.standing(VENTURE)[0].id,
        }  # fmt: skip


def items_of(document: Any) -> list[Any]:
    """What a list shows."""
    if not isinstance(document, dict):
        return []
    return next(
        (document[name] for name in ("items", "flags", "calendars", "places", "points") if isinstance(document.get(name), list)), []
    )


def test_every_route_is_bound_to_one_operation_or_is_public(house):
    unbound = [r.path for r in api_routes(house.app.routes) if operation_of(r) is None]
    assert all(access.is_public(path) or access.guards_itself(path) for path in unbound)
    for route in house.routes():
        for method in route.methods:
            described = house.document["paths"].get(route.path, {}).get(method.lower())
            if described is not None:
                assert described["x-operation"] == operation_of(route).value
                assert "403" in described["responses"]


def test_a_route_without_an_operation_keeps_the_program_from_starting():
    app, router = FastAPI(), APIRouter()

    @router.get("/api/v1/forgotten")
    def forgotten() -> None: ...

    app.include_router(router)
    with pytest.raises(TypeError, match="GET /api/v1/forgotten.*allowed"):
        bind(app)


def test_in_another_venture_every_role_is_refused_on_every_route(house):
    seen = []
    for route in house.routes():
        if route.operation_id in OWN:
            continue
        for role in Role:
            status, document = house.ask(route, house.tokens["another venture", role])
            if status in {403, 404} or (status == 412 and "there is no flag" in document["detail"]):
                continue
            silent = VENTURE not in json.dumps(document) and (not items_of(document) or route.operation_id in OWN_ITEMS)
            listed = status == 200 and operation_of(route) in READS and silent
            if not listed:
                seen.append((route.operation_id, role.value, status, str(document)[:120]))
    assert seen == []


def test_in_another_environment_every_role_is_refused_what_changes_production(house):
    seen = []
    for route in house.routes():
        if route.operation_id in OWN or (operation_of(route) in READS and "release_id" not in route.path):
            continue
        for role in Role:
            status, document = house.ask(route, house.tokens["another environment", role])
            if status not in {403, 404, 412}:
                seen.append((route.operation_id, role.value, status, str(document)[:120]))
    assert [each for each in seen if each[0] not in READS_IN_PLACE] == []


# They answer with what is in the caller's own places.
READS_IN_PLACE = {"backtestReleases", "planRelease"}


def test_in_the_right_place_exactly_the_roles_that_may_are_let_through(house):
    wrong = []
    for route in house.routes():
        operation = operation_of(route)
        for role in sorted(Role, key=lambda r: len(ALLOWED[r])):
            status, document = house.ask(route, house.tokens["here", role])
            may = operation in ALLOWED[role]
            if (may and status in {401, 403} and not is_of_all_ventures(route, document)) or (not may and status not in {403, 404}):
                wrong.append((route.operation_id, role.value, status, str(document)[:160]))
            if status >= 500 and status not in {502, 503}:
                wrong.append((route.operation_id, role.value, status, str(document)[:160]))
    assert wrong == []


def is_of_all_ventures(route: APIRoute, document: Any) -> bool:
    """What concerns the whole installation takes a grant for all ventures: the refusal says so."""
    return isinstance(document, dict) and ("in all ventures" in str(document.get("detail")) or document.get("slug") == "self-approval")


def test_an_admin_of_everything_is_let_through_everywhere(house):
    give(house.app.state.context, Holder("root"), Grant(Role.ADMIN), actor=SOMEBODY)
    token = person_token(house.app.state.context, "root")
    refused = []
    for route in house.routes():
        status, document = house.ask(route, token)
        if status in {401, 403} and document.get("slug") != "self-approval":
            refused.append((route.operation_id, status, str(document)[:160]))
    assert refused == []
