"""Compliance and evidence bundles over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest

from productops.adapters.audit_anchors import is_signed, is_signed_bytes
from productops.adapters.release_bundle import unpack
from productops.domain.catalog_compliance import ControlEntry
from productops.domain.governance_access import Grant, Role
from productops.domain.release_bundle_check import check_bundle
from tests.integration.test_api.support import OPS, person_token, put_service

COMPLIANCE = f"{OPS}/compliance"


@pytest.fixture
def declared(api):
    spec = {"title": "a rule", "owner": "platform", "check": {"kind": "backup-drilled"}, "severity": "high"}
    with api.context.store.write() as unit:
        for name in ("backups", "more-backups"):
            entry = {"apiVersion": "productops/v1", "kind": "Control", "metadata": {"name": name}, "spec": spec}
            unit.controls.put(ControlEntry.model_validate(entry), base="/", author="tester", now=api.context.clock.now())
    return api


def test_controls_are_checked_and_their_findings_read_page_by_page(declared):
    client = declared.client
    assert {c["outcome"] for c in client.get(COMPLIANCE).json()["items"]} == {None}
    done = client.post(f"{COMPLIANCE}/check", json={})
    assert (done.status_code, [r["outcome"] for r in done.json()["results"]]) == (200, ["violated", "violated"])
    first = client.get(f"{COMPLIANCE}/findings", params={"limit": 1}).json()
    second = client.get(f"{COMPLIANCE}/findings", params={"limit": 1, "after": first["next"]}).json()
    assert {first["items"][0]["control"], second["items"][0]["control"]} == {"backups", "more-backups"}
    assert second["next"] is None
    assert len(client.get(f"{COMPLIANCE}/findings", params={"control": "backups", "state": "open"}).json()["items"]) == 1
    assert client.get(f"{COMPLIANCE}/checks").json()["items"][0]["results"][0]["opened"] == 1
    assert client.post(f"{COMPLIANCE}/check", json={"control": "nothing"}).status_code == 404


def test_a_finding_is_waived_shown_with_its_waiver_and_taken_up_again(declared):
    client = declared.client
    client.post(f"{COMPLIANCE}/check", json={"control": "backups"})
    (finding,) = client.get(f"{COMPLIANCE}/findings").json()["items"]
    until = (declared.context.clock.now() + timedelta(days=3)).isoformat()
    body = {"finding_id": finding["id"], "owner": "dora", "reason": "the disks come on Monday", "expires_at": until}
    waived = client.post(f"{COMPLIANCE}/waivers", json=body)
    assert (waived.status_code, waived.json()["state"], waived.json()["waiver"]["owner"]) == (201, "waived", "dora")
    assert client.get(COMPLIANCE).json()["items"][0]["waived"] == 1
    again = client.delete(f"{COMPLIANCE}/findings/{finding['id']}/waiver", params={"reason": "they came"})
    assert again.json()["state"] == "open"
    assert len(client.get(f"{COMPLIANCE}/findings/{finding['id']}").json()["waivers"]) == 1
    refused = client.post(f"{COMPLIANCE}/waivers", json=body | {"reason": "so"})
    assert (refused.status_code, "at least 10 characters" in refused.json()["detail"]) == (422, True)


def test_a_bundle_is_for_who_may_read_bundles_of_that_venture(api, tmp_path):
    put_service(api.context, api.versions, live="1.0")
    with api.context.store.write() as unit:
        unit.catalog.put_venture("gemini", title="", description="", author="tester", now=api.context.clock.now())
    placed = api.client.post(f"{OPS}/release/2.0", json={"service": "shop"})
    assert placed.status_code == 202, placed.text
    release_id = placed.json()["id"]
    answer = api.client.get(f"{OPS}/releases/{release_id}/bundle")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert f"release-{release_id}.zip" in answer.headers["content-disposition"]
    proof = check_bundle(unpack(answer.content), set(), is_signed=is_signed_bytes, is_anchor=is_signed)
    assert (proof.release["id"], proof.release["phase"]) == (release_id, "requested")
    assert any(line.startswith("verification summary: the release has not ended") for line in proof.absent)
    for role, venture, status in ((Role.VIEWER, "apollo", 403), (Role.DIRECTOR, "gemini", 404), (Role.DEVELOPER, "apollo", 200)):
        token = person_token(api.context, f"{role}-{venture}", Grant(role, venture))
        asked = api.client.get(f"{OPS}/releases/{release_id}/bundle", headers={"Authorization": f"Bearer {token}"})
        assert asked.status_code == status, (role, venture, asked.text)
