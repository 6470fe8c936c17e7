"""What targets are sent: CDEvents, CloudEvents and plain JSON, and for how long it is tried."""

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry, Resource

from productops.adapters.cdevents import VERSIONS, to_cdevent
from productops.adapters.webhook_formats import render, signed
from productops.domain.catalog_webhooks import WebhookTargetSpec
from productops.domain.governance_outbox import TYPES, OutboxEvent, WebhookTarget, tell_release, wait_before
from productops.domain.release import Environment, Phase, Release, Strategy

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
SCHEMAS = Path(__file__).parent / "cdevents_schemas"
SOURCE = "https://ops.example.com"
RELEASE = Release(
    id="0197c5a2-6f0e-7c3a-9b1f-2f6c1d0b7e11", venture="apollo", service="storefront", environment=Environment.PRODUCTION, version="1.1.0",
    baseline_version="1.0.0", strategy=Strategy.CANARY, phase=Phase.ROLLING_OUT, steps=(), plan={}, requested_by="ada", origin="cli",
    reason="", cause=None, step_index=0, fence=1, flow_run_id=None, created_at=AT, updated_at=AT, ended_at=None,
)  # fmt: skip
STEP = {"step": 0, "title": "5 %", "verdict": "passed", "reason": "no difference"}
INCIDENT = {
    "incident_id": "i1",
    "title": "Customers cannot pay",
    "services": ["storefront"],
    "environment": "production",
    "venture": "apollo",
}


def spec(**given: object) -> WebhookTargetSpec:
    return WebhookTargetSpec.model_validate({"url": "https://example.com/hooks"} | given)


def event(kind: str, data: dict[str, object], subject: str = "release/1") -> OutboxEvent:
    return OutboxEvent(7, "01a1fcbc-6727-7139-84e8-95fa15c2b065", kind, subject, "apollo", data, AT)


def everything() -> list[OutboxEvent]:
    """An event of every type that is told, and some that the audit notes."""
    told = [
        t for phase in Phase for t in tell_release(RELEASE, "phase", {"to": phase.value, "from": "x", "actor": "ada", "reason": "because"})
    ]
    told += [t for kind in ("requested", "waiting", "bypassed", "resumed") for t in tell_release(RELEASE, kind, {})]
    told += [t for kind in ("shift", "step_ended") for t in tell_release(RELEASE, kind, STEP)]
    found = [event(t.type, t.data) for t in told]
    found += [event(kind, INCIDENT, "incident/i1") for kind in TYPES if kind.startswith("incident.")]
    found += [
        event(kind, {"service": "storefront", "environment": "staging", "version": "1.0"})
        for kind in ("service.deployed", "service.removed")
    ]
    found += [
        event(kind, {"plan_id": "p1", "venture": "apollo"}, "development-plan/p1")
        for kind in ("development.planned", "development.at_risk")
    ]
    found += [event("webhook.test", {"message": "hello"}, "webhook-target/a")]
    found += [
        event(kind, {"actor": "ada", "reason": "r", "detail": {"title": "t"}}, "change/1")
        for kind in VERSIONS
        if kind.startswith("change.")
    ]
    return [*found, event("flag.change_approved", {"actor": "ada"}, "flag/checkout"), event("train.member_promoted", {}, "train/1")]


def official() -> Registry[object]:
    """The specification's schemas for links, which those of events refer to."""
    links = [json.loads(path.read_text(encoding="utf-8")) for path in (SCHEMAS / "links").glob("*.json")]
    return Registry().with_resources((str(link["$id"]), Resource.from_contents(link)) for link in links)


def schema_of(document: dict[str, object]) -> dict[str, object]:
    kind = str(document["context"]["type"])  # type: ignore[index]
    parts = kind.split(".")
    name = "custom" if parts[1] == "cdeventsx" else parts[2] + parts[3]
    loaded: dict[str, object] = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("told", everything(), ids=lambda e: e.type)
def test_every_event_is_a_cdevent_that_its_schema_accepts(told):
    document = to_cdevent(told, source=SOURCE)
    checker = jsonschema.Draft202012Validator(schema_of(document), format_checker=jsonschema.FormatChecker(), registry=official())
    assert [error.message for error in checker.iter_errors(document)] == []


def test_everything_that_is_documented_is_told_by_somebody_and_the_other_way_round():
    audited = ("flag", "train", "change")
    assert {e.type for e in everything() if e.type.partition(".")[0] not in audited} == set(TYPES)


def test_a_promotion_is_an_upgrade_of_the_service_and_the_end_of_a_run():
    upgrade, end = [
        to_cdevent(event(t.type, t.data), source=SOURCE)
        for t in tell_release(RELEASE, "phase", {"to": "promoted", "reason": "all steps passed"})
    ]
    assert upgrade["context"]["type"] == "dev.cdevents.service.upgraded.0.3.0"
    assert upgrade["subject"]["content"] == {
        "environment": {"id": "production", "source": SOURCE}, "artifactId": "pkg:generic/storefront@1.1.0",
    }  # fmt: skip
    assert end["context"]["type"] == "dev.cdevents.pipelinerun.finished.0.3.0"
    assert end["subject"]["content"]["outcome"] == "success"
    assert upgrade["context"]["chainId"] == end["context"]["chainId"] == RELEASE.id


def test_a_flag_release_upgrades_no_service():
    toggled = tell_release(
        Release(**{n: getattr(RELEASE, n) for n in RELEASE.__slots__} | {"strategy": Strategy.FEATURE_TOGGLE}), "phase", {"to": "promoted"}
    )
    assert [t.type for t in toggled] == ["release.promoted"]


@pytest.mark.parametrize("wanted", ["cdevents", "cloudevents"])
def test_both_modes_of_cloudevents_say_the_same(wanted):
    told = event("release.promoted", tell_release(RELEASE, "phase", {"to": "promoted"})[1].data)
    body, headers = render(told, spec(format=wanted), source=SOURCE)
    structured = json.loads(body)
    assert headers["content-type"].startswith("application/cloudevents+json")
    data, binary = render(told, spec(format=wanted, mode="binary"), source=SOURCE)
    attributes = {name: value for name, value in structured.items() if name not in {"data", "datacontenttype"}}
    assert {f"ce-{name}": value for name, value in attributes.items()} == {n: v for n, v in binary.items() if n.startswith("ce-")}
    assert json.loads(data) == structured["data"]
    assert structured["id"] == told.id


def test_the_body_is_the_same_at_each_attempt_and_each_live_secret_signs_it():
    told = event("flag.changed", {"a": 1}, "flag/x")
    assert render(told, spec(format="plain"), source=SOURCE) == render(told, spec(format="plain"), source=SOURCE)
    headers = signed({}, b"{}", message_id="m", timestamp_s=5, secrets=("new", "old"))
    assert [each.split(",")[0] for each in headers["webhook-signature"].split()] == ["v1", "v1"]
    assert "webhook-signature" not in signed({}, b"{}", message_id="m", timestamp_s=5, secrets=())


def test_a_target_of_a_venture_hears_of_no_other():
    own = WebhookTarget("a", "apollo", spec(types=["release.*", "flag.changed"]), declared=True, revision=1)
    assert own.wants("release.promoted", "apollo")
    assert own.wants("flag.changed", "apollo")
    assert not own.wants("flag.killed", "apollo")
    assert not own.wants("release.promoted", "hermes")
    assert not own.wants("release.promoted", None)
    assert WebhookTarget("b", None, spec(), declared=True, revision=1).wants("release.promoted", None)


@given(st.integers(1, 1000), st.floats(0, 1e9), st.floats(0, 1))
def test_the_waits_rise_are_spread_and_never_exceed_an_hour(attempt, asked_s, spread):
    waited_s = wait_before(attempt, retry_after_s=asked_s, spread=spread).total_seconds()
    assert 0.5 <= waited_s <= 3600.0
    assert waited_s >= min(asked_s, 3600.0) - 1e-6
