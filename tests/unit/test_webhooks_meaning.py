"""What webhooks mean, and that nothing in a body can break the reading."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.domain.catalog_webhooks import Provider, WebhookSourceSpec
from productops.domain.governance_webhooks import Inbound, InboundEvent, WebhookSource
from productops.domain.governance_webhooks_normalise import normalise

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
MAPPED = {"services": {"acme/shop": "storefront", "shop-build": "storefront", "SHOP": "storefront"}, "environments": {"prod": "production"}}


def meant(provider: str, body: object, headers: dict[str, str] | None = None, **spec: object) -> list[InboundEvent]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    whom = WebhookSource(
        "s", "apollo", WebhookSourceSpec.model_validate({"provider": provider, "secrets": ["PRODUCTOPS_SECRET_A"]} | MAPPED | spec)
    )
    return normalise(whom, Inbound("1", "s", "apollo", headers or {}, raw, NOW))


REPOSITORY = {"repository": {"full_name": "acme/shop", "name": "shop"}, "sender": {"login": "ada"}}
GITHUB = [
    ("ping", {}, "ping", None),
    ("deployment", {"action": "created", "deployment": {"environment": "prod", "ref": "v1.2.0"}}, "deployment.requested", "1.2.0"),
    ("deployment_status", {"deployment_status": {"state": "success"}, "deployment": {"ref": "v1.2.0"}}, "deployment.succeeded", "1.2.0"),
    ("release", {"action": "published", "release": {"tag_name": "v1.2.0"}}, "release.published", "1.2.0"),
    ("workflow_run", {"action": "completed", "workflow_run": {"conclusion": "failure", "head_branch": "main"}}, "build.failed", None),
    ("workflow_run", {"action": "completed", "workflow_run": {"conclusion": "success", "head_branch": "v2.0"}}, "build.succeeded", "2.0"),
    ("pull_request", {"action": "closed", "pull_request": {"merged_at": "2026-11-21T01:00:00Z", "number": 7}}, "change.merged", None),
    ("issues", {"action": "opened", "issue": {"number": 9}}, "ticket.created", None),
    ("push", {"ref": "refs/heads/main", "after": "abc"}, "change.pushed", None),
    ("star", {"action": "created"}, "unrecognised", None),
]


@pytest.mark.parametrize(("name", "body", "kind", "version"), GITHUB)
def test_what_github_tells_is_understood(name, body, kind, version):
    (event,) = meant("github", body | REPOSITORY, {"x-github-event": name})
    assert (event.kind, event.version) == (kind, version)
    assert event.service == (None if kind == "unrecognised" else "storefront")


GITLAB = [
    ({"object_kind": "deployment", "status": "success", "environment": "prod", "ref": "v1.0"}, "deployment.succeeded", "1.0"),
    ({"object_kind": "release", "action": "create", "tag": "v1.0"}, "release.published", "1.0"),
    ({"object_kind": "pipeline", "object_attributes": {"status": "failed", "ref": "main"}}, "build.failed", None),
    ({"object_kind": "merge_request", "object_attributes": {"action": "merge", "iid": 3}}, "change.merged", None),
    ({"object_kind": "issue", "object_attributes": {"action": "close", "iid": 3}}, "ticket.closed", None),
    ({"object_kind": "wiki_page"}, "unrecognised", None),
]


@pytest.mark.parametrize(("body", "kind", "version"), GITLAB)
def test_what_gitlab_tells_is_understood(body, kind, version):
    (event,) = meant("gitlab", body | {"project": {"path_with_namespace": "acme/shop"}})
    assert (event.kind, event.version) == (kind, version)


OTHERS = [
    ("bitbucket", {"x-event-key": "pullrequest:fulfilled"}, {"pullrequest": {"id": 4}, **REPOSITORY}, "change.merged", None),
    (
        "jira", {}, {"webhookEvent": "jira:issue_updated", "issue": {"key": "SHOP-1", "fields": {"project": {"key": "SHOP"}}}},
        "ticket.updated", None,
    ),
    (
        "jenkins", {},
        {"name": "shop-build", "build": {"number": 5, "phase": "COMPLETED", "status": "SUCCESS", "parameters": {"VERSION": "3.1"}}},
        "build.succeeded", "3.1",
    ),
    ("jenkins", {}, {"name": "shop-build", "build": {"number": 5, "phase": "FINALIZED", "status": "SUCCESS"}}, "build.finalised", None),
    ("plain", {}, {"kind": "build.succeeded", "service": "acme/shop", "version": "1.0"}, "build.succeeded", "1.0"),
    (
        "cdevents", {"content-type": "application/cloudevents+json"},
        {
            "specversion": "1.0", "id": "1", "source": "/cd", "type": "dev.cdevents.service.deployed.0.3.0",
            "data": {
                "context": {
                    "specversion": "0.5.0", "id": "1", "source": "/cd", "type": "dev.cdevents.service.deployed.0.3.0",
                    "timestamp": "2026-11-21T01:00:00Z",
                },
                "subject": {
                    "id": "acme/shop", "content": {"environment": {"id": "env/prod"}, "artifactId": "pkg:oci/shop@sha256%3Aab?tag=1.4"},
                },
            },
        },
        "service.deployed", "1.4",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "headers", "body", "kind", "version"), OTHERS)
def test_what_others_tell_is_understood(provider, headers, body, kind, version):
    (event,) = meant(provider, body, headers)
    assert (event.kind, event.version, event.service) == (kind, version, "storefront")


def test_a_cdevent_in_binary_mode_is_the_same_as_in_structured_mode():
    kind = "dev.cdevents.service.deployed.0.3.0"
    data = {
        "context": {"type": kind, "id": "1", "source": "/cd"},
        "subject": {"id": "acme/shop", "content": {"environment": {"id": "prod"}}},
    }
    structured = meant("cdevents", {"specversion": "1.0", "id": "1", "source": "/cd", "type": kind, "data": data})
    binary = meant("cdevents", data, {"ce-type": kind, "ce-id": "1", "ce-source": "/cd", "content-type": "application/json"})
    assert structured == binary


def test_an_environment_nobody_knows_is_not_taken_for_another():
    (event,) = meant(
        "github", {"action": "created", "deployment": {"environment": "prod-eu"}} | REPOSITORY, {"x-github-event": "deployment"}
    )
    assert event.kind == "unrecognised"
    assert "'prod-eu' is not mapped" in event.reason


HOSTILE = {
    "bad UTF-8": b'{"a": "\xff\xfe"}',
    "no JSON": b"<xml/>",
    "empty": b"",
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": [-Infinity]}',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "just too deep": b"[" * 70 + b"]" * 70,
    "huge integer": b'{"a": ' + b"9" * 5_000 + b"}",
    "many values": b"[" + b"1," * 300_000 + b"1]",
    "a list": b"[1, 2, 3]",
    "null": b"null",
    "text": b'"hello"',
    "NUL": b'{"kind": "build.succeeded", "service": "a\\u0000b", "url": "\\u0000"}',
    "half a surrogate": b'{"kind": "build.succeeded", "url": "\\ud800"}',
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("provider", [p.value for p in Provider])
def test_no_body_breaks_the_reading(provider, name):
    events = meant(provider, HOSTILE[name], {"x-github-event": "release", "x-event-key": "repo:push"})
    assert events
    for event in events:
        event.url.encode()
        assert "\x00" not in event.url + event.subject
        assert (
            event.kind == "unrecognised"
            or name in {"NUL", "half a surrogate", "a list", "null", "text", "empty"}
            or provider in {"github", "bitbucket"}
        )
        assert event.reason or event.kind != "unrecognised"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["alerts", "labels", "status", "startsAt", "fingerprint", "deployment", "repository", "release", "object_kind", "build", "phase",
         "issue", "fields", "components", "webhookEvent", "kind", "service", "data", "context", "type", "subject", "content", "action"]
    ), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@given(
    JSON, st.sampled_from([p.value for p in Provider]), st.sampled_from(["deployment", "release", "workflow_run", "pull_request", "issues"])
)
def test_whatever_json_comes_the_answer_is_a_list_of_events(body, provider, event):
    assert all(e.kind for e in meant(provider, body, {"x-github-event": event, "x-event-key": "repo:push"}))


def test_alerts_carry_what_tells_them_apart():
    alert = {
        "status": "firing", "fingerprint": "abc", "startsAt": "2026-11-21T02:00:00Z",
        "labels": {"alertname": "TooManyErrors", "service": "storefront", "environment": "staging", "severity": "critical"},
    }  # fmt: skip
    firing, broken = meant("alertmanager", {"version": "4", "alerts": [alert, {"status": "firing"}]})
    assert (firing.kind, firing.service, firing.environment, firing.subject) == ("alert.firing", "storefront", "staging", "TooManyErrors")
    assert firing.data["alert_key"] == "abc/2026-11-21T02:00:00Z"
    assert broken.kind == "unrecognised"
