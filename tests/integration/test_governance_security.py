"""Security operations on a real store and a served API: seen, told, kept as evidence, and found when somebody changes it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from productops.adapters.audit_anchors import read_or_make_key
from productops.adapters.catalog_files import load_catalog
from productops.adapters.governance_advisories import AdvisoryFiles
from productops.adapters.governance_evidence_archive import check_evidence, write_evidence
from productops.cli.main import app as program
from productops.domain.catalog_security import SecurityPolicyEntry
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.governance_security import FindingFilter, RuleId, Seen, Sighting
from productops.domain.governance_security_evidence import EvidenceItem
from productops.domain.governance_security_vulnerable import Package
from productops.domain.quality import Component, Parsed
from productops.domain.release import Environment
from productops.errors import ForbiddenError, InvalidInputError, NotFoundError
from productops.settings import Settings
from productops.usecases.catalog import apply_catalog
from productops.usecases.context import OURSELVES, Actor, Context
from productops.usecases.governance_access import Holder, give
from productops.usecases.governance_access_tokens import revoke_token
from productops.usecases.governance_security import SecurityMemory, find_security, list_findings
from productops.usecases.governance_security_evidence import (
    EvidenceWish,
    export_evidence,
    hand_over,
    list_evidence,
    read_item,
    take_evidence,
    verify_evidence,
)
from productops.usecases.governance_security_watch import SecurityWatch
from productops.usecases.quality_validate import ValidateRequest, validate_quality
from tests.integration.incident_lab import HandClock
from tests.integration.test_api.support import OPS, TOKEN, client_of, free_ports, person_token, serving, wait_until
from tests.support import SOMEBODY, add_service, make_context, sqlite_url

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 18, 3, 0, tzinfo=UTC)
COMMANDER = Actor("iris", "api", Principal("iris", (Grant(Role.INCIDENT_COMMANDER, "apollo"),)))
STRANGER = Actor("zoe", "api", Principal("zoe", (Grant(Role.DIRECTOR, "zeus"),)))
ADVISORY = {
    "id": "GHSA-aaaa", "aliases": ["CVE-2026-0001"], "summary": "leaks headers", "database_specific": {"severity": "HIGH"},
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "requests"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.32.0"}]}],
        }
    ],
}  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Context:
    """Venture apollo with the service shop, at noon."""
    context = replace(make_context(sqlite_url(tmp_path)), clock=HandClock(NOON))
    add_service(context, "shop", live="1.0")
    hours = SecurityPolicyEntry.model_validate(
        {
            "apiVersion": "productops/v1", "kind": "SecurityPolicy", "metadata": {"name": "first"},
            "spec": {"hours": {"start": "07:00", "end": "20:00"}},
        }
    )  # fmt: skip
    with context.store.write() as unit:
        unit.security.put_policy(hours, base=str(tmp_path / "catalog"), now=NOON)
    return context


def knock(context: Context, kind: Seen, times: int, *, address: str = "203.0.113.7", subject: str = "", principal: str = "") -> None:
    minute = int(context.clock.now().timestamp()) // 60 * 60
    with context.store.write() as unit:
        unit.security.add_sightings([Sighting(minute, kind, subject, address, times, principal)])


def look(context: Context, memory: SecurityMemory | None = None) -> dict[str, str]:
    alerts = find_security(context, now=context.clock.now(), actor=OURSELVES, memory=memory)
    return {alert.name: alert.status for alert in alerts}


def rebuilt(context: Context, where: Path, *statements: str) -> None:
    """Change the database past the product, as somebody with the file can."""
    context.store.close()
    with closing(sqlite3.connect(where / "productops.db")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount == 1
        connection.commit()


def test_a_burst_of_failures_opens_a_security_incident_and_its_evidence_is_kept(house):
    knock(house, Seen.UNKNOWN, 30)
    watch = SecurityWatch(house)
    watch.turn()
    with house.store.read() as unit:
        [incident] = unit.incidents.any_live()
    assert (incident.kind, incident.severity, incident.venture) == ("security", "SEV3", "apollo")
    [bundle] = list_evidence(house, incident_id=incident.id, actor=OURSELVES)
    assert {item["kind"] for item in bundle.items} >= {"audit", "findings", "sightings", "incident"}
    assert verify_evidence(house, bundle.id, actor=COMMANDER).fits
    watch.turn()
    assert len(list_evidence(house, actor=OURSELVES)) == 1


def test_a_finding_ends_when_its_window_is_over_and_the_alert_with_it(house):
    knock(house, Seen.UNKNOWN, 30)
    assert look(house) == {"failed-logins-address": "firing"}
    house.clock.pass_by(900)
    assert look(house) == {"failed-logins-address": "resolved"}
    house.clock.pass_by(900)
    assert look(house) == {}
    [ended] = list_findings(house, FindingFilter(), actor=OURSELVES)
    assert ended.ended_at is not None


def test_findings_of_the_installation_are_not_for_who_sees_one_venture(house):
    knock(house, Seen.UNKNOWN, 30)
    look(house)
    assert list_findings(house, FindingFilter(), actor=COMMANDER) == []
    assert len(list_findings(house, FindingFilter(), actor=OURSELVES)) == 1


def test_a_role_given_at_night_is_told_and_the_same_at_noon_is_not(house):
    give(house, Holder("eve"), Grant(Role.ADMIN), reason="x", actor=SOMEBODY)
    assert look(house) == {}
    house.clock.at = NIGHT + timedelta(days=1)
    give(house, Holder("bob"), Grant(Role.ADMIN), reason="x", actor=SOMEBODY)
    assert look(house) == {"access-at-odd-hours": "firing"}


def test_what_happened_while_nobody_looked_is_found_afterwards(house):
    look(house)
    house.clock.at = NIGHT + timedelta(days=1)
    give(house, Holder("bob"), Grant(Role.ADMIN), reason="x", actor=SOMEBODY)
    house.clock.pass_by(6 * 3600)
    assert look(house) == {"access-at-odd-hours": "firing"}


def test_an_entry_of_the_audit_log_that_was_changed_is_told(house, tmp_path):
    give(house, Holder("eve"), Grant(Role.VIEWER), reason="x", actor=SOMEBODY)
    memory = SecurityMemory()
    assert look(house, memory) == {}
    rebuilt(house, tmp_path, "UPDATE audit_entries SET reason = 'y' WHERE seq = (SELECT min(seq) FROM audit_entries WHERE reason = 'x')")
    house.clock.pass_by(120)
    assert look(house, memory) == {"audit-broken": "firing"}


def test_a_log_that_was_cut_at_its_end_is_told(house, tmp_path):
    give(house, Holder("eve"), Grant(Role.VIEWER), reason="x", actor=SOMEBODY)
    look(house)
    rebuilt(house, tmp_path, "DELETE FROM audit_entries WHERE seq = (SELECT max(seq) FROM audit_entries)")
    assert look(house) == {"audit-broken": "firing"}


def judged(context: Context, version: str, *parts: Component) -> None:
    validate_quality(context, ValidateRequest("shop", version), Parsed(formats=("cyclonedx",), components=parts), SOMEBODY)


def test_a_vulnerable_part_of_a_live_version_is_told_and_again_when_the_file_changes(house, tmp_path):
    judged(house, "1.0", Component("requests", "2.31.0", "pkg:pypi/requests@2.31.0"))
    file = tmp_path / "advisories.json"
    file.write_text(json.dumps([ADVISORY]))
    memory = SecurityMemory(AdvisoryFiles(file))
    assert look(house, memory) == {"vulnerable-version-live": "firing"}
    [found] = list_findings(house, FindingFilter(RuleId.VULNERABLE), actor=COMMANDER)
    assert found.finding.subject == "PyPI/requests@2.31.0"
    assert (found.finding.severity, found.finding.service, found.finding.environment) == ("SEV3", "shop", Environment.PRODUCTION)
    assert "good again: 2.32.0" in found.finding.summary
    file.write_text(json.dumps([ADVISORY | {"withdrawn": "2026-11-18T12:00:00Z"}]))
    house.clock.pass_by(61)
    assert look(house, memory) == {"vulnerable-version-live": "resolved"}


def test_advisories_that_are_away_end_no_finding(house, tmp_path):
    judged(house, "1.0", Component("requests", "2.31.0", "pkg:pypi/requests@2.31.0"))
    file = tmp_path / "advisories.json"
    file.write_text(json.dumps(ADVISORY))
    memory = SecurityMemory(AdvisoryFiles(file))
    look(house, memory)
    file.unlink()
    house.clock.pass_by(61)
    assert look(house, memory) == {"vulnerable-version-live": "firing"}
    assert "which is not there" in memory.problem


def test_a_file_that_is_no_advisory_is_named_and_the_others_count(tmp_path):
    (tmp_path / "good.json").write_text(json.dumps({"vulns": [ADVISORY]}))
    (tmp_path / "bad.json").write_text("{")
    files = AdvisoryFiles(tmp_path)
    before = files.state()
    read = files.read({Package("PyPI", "requests")})
    assert read.documents == 1
    assert [problem.split(":")[0] for problem in read.problems] == ["bad.json"]
    (tmp_path / "bad.json").unlink()
    assert files.state() != before


POLICY = """\
apiVersion: productops/v1
kind: Venture
metadata: {name: apollo}
---
apiVersion: productops/v1
kind: SecurityPolicy
metadata: {name: house}
spec:
  rules:
    failed-logins-address: {times: 5, severity: SEV2}
  exceptions:
    - {rule: failed-logins-address, subject: "198.51.100.*", reason: our own scanner, until: 2027-01-01T00:00:00Z}
"""


def test_a_declared_policy_changes_thresholds_and_excuses(house, tmp_path):
    folder = tmp_path / "catalog"
    folder.mkdir()
    (folder / "policy.yaml").write_text(POLICY)
    entries = load_catalog(folder)
    manager = Actor("rhea", "cli", Principal("rhea", (Grant(Role.RELEASE_MANAGER),)))
    with pytest.raises(ForbiddenError, match=r"security\.respond"):
        apply_catalog(house, entries, actor=manager)
    apply_catalog(house, entries, actor=SOMEBODY)
    knock(house, Seen.UNKNOWN, 6)
    knock(house, Seen.UNKNOWN, 60, address="198.51.100.9")
    look(house)
    [found] = list_findings(house, FindingFilter(), actor=OURSELVES)
    assert (found.finding.subject, found.finding.severity) == ("203.0.113.7", "SEV2")
    assert [c.outcome for c in apply_catalog(house, entries, actor=SOMEBODY) if c.kind == "SecurityPolicy"] == ["unchanged"]


def taken(context: Context, **wish) -> str:
    files = (EvidenceItem("app.log", "file", b"GET /\n"),)
    return take_evidence(context, EvidenceWish(reason="case 7", venture="apollo", files=files, **wish), actor=COMMANDER).id


def test_every_hand_that_evidence_goes_through_is_in_its_chain_and_in_the_audit_log(house):
    bundle = taken(house)
    hand_over(house, bundle, to="Sam Lee", reason="analysis", actor=COMMANDER)
    position = len(list_evidence(house, actor=COMMANDER)[0].items) - 1
    assert read_item(house, bundle, position, reason="to see", actor=COMMANDER)[1] == b"GET /\n"
    held = export_evidence(house, bundle, reason="for the court", actor=COMMANDER)
    assert [(c.action, c.who, c.to) for c in held.custody] == [
        ("taken", "iris", ""), ("handed-on", "iris", "Sam Lee"), ("read", "iris", ""), ("exported", "iris", ""),
    ]  # fmt: skip
    with house.store.read() as unit:
        told = [e["action"] for e in unit.audit.entries(subject=f"evidence/{bundle}")]
    assert told == ["evidence.exported", "evidence.read", "evidence.handed-on", "evidence.taken"]
    assert verify_evidence(house, bundle, actor=COMMANDER).fits
    with pytest.raises(InvalidInputError, match="reason"):
        export_evidence(house, bundle, reason=" ", actor=COMMANDER)
    with pytest.raises(NotFoundError):
        export_evidence(house, bundle, reason="x", actor=STRANGER)
    with pytest.raises(ForbiddenError):
        take_evidence(house, EvidenceWish(reason="x"), actor=COMMANDER)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE evidence_items SET packed = X'789c03000000000001' WHERE position = 0",
        "DELETE FROM evidence_items WHERE position = 0",
        "UPDATE evidence_bundles SET manifest = replace(manifest, 'case 7', 'case 8')",
        "UPDATE evidence_custody SET who = 'bob' WHERE number = 1",
        "DELETE FROM evidence_custody WHERE number = 2",
    ],
)
def test_whatever_is_changed_past_the_product_is_found(house, tmp_path, damage):
    bundle = taken(house)
    hand_over(house, bundle, to="Sam Lee", reason="analysis", actor=COMMANDER)
    rebuilt(house, tmp_path, damage)
    proof = verify_evidence(house, bundle, actor=COMMANDER)
    assert not proof.fits
    assert proof.problems


def test_an_export_is_checked_without_a_store_and_every_change_of_it_is_found(house, tmp_path):
    held = export_evidence(house, taken(house), reason="for the court", actor=COMMANDER)
    key = read_or_make_key(tmp_path / "key")
    packed = write_evidence(held.bundle, held.contents, held.custody, key)
    assert packed == write_evidence(held.bundle, held.contents, held.custody, key)
    proof = check_evidence(packed, {key.public})
    assert (proof.fits, proof.anchored) == (True, True)
    assert "not trusted" in check_evidence(packed, {"00" * 32}).problems[0]
    forged = held.contents | {next(iter(held.contents)): b"nothing happened\n"}
    assert not check_evidence(write_evidence(held.bundle, forged, held.custody, key), {key.public}).fits
    with pytest.raises(InvalidInputError, match="no archive"):
        check_evidence(b"junk", set())


def test_no_secret_of_a_token_is_in_the_evidence(house):
    secret = person_token(house, "mia", Grant(Role.DEVELOPER, "apollo"))
    bundle = taken(house, people=("mia",))
    with house.store.read() as unit:
        contents = unit.evidence.contents(bundle)
        stored = unit.tokens.find(secret.split("_")[1])
    everything = b"".join(contents.values())
    assert b'"owner": "mia"' in everything
    assert secret.split("_")[2].encode() not in everything
    assert stored.hash.encode() not in everything


def test_the_doors_see_who_knocks_and_show_findings_posture_and_evidence(tmp_path):
    context = make_context(sqlite_url(tmp_path))
    add_service(context, "shop", live="1.0")
    good = person_token(context, "mia", Grant(Role.VIEWER, "apollo"))
    revoked = person_token(context, "bob", Grant(Role.DEVELOPER, "apollo"))
    revoke_token(context, revoked.split("_")[1], reason="stolen", actor=SOMEBODY)
    settings = Settings(home=tmp_path, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(tmp_path))
    with serving(context, settings), client_of(settings) as client:
        for token, path in ((revoked, "releases"), (good, "security/findings"), (good, "releases"), ("junk", "releases")):
            client.get(f"{OPS}/{path}", headers={"Authorization": f"Bearer {token}"})

        def kinds() -> set[tuple[str, str]]:
            with context.store.read() as unit:
                return {(s.kind.value, s.principal) for s in unit.security.sightings(since_s=0)}

        wanted = {("revoked", "bob"), ("refused", "mia"), ("used", "mia"), ("unknown", "")}
        wait_until(lambda: kinds() >= wanted, timeout_s=15)
        assert look(context) == {"revoked-token-used": "firing"}
        [found] = client.get(f"{OPS}/security/findings").json()["items"]
        assert (found["rule"], found["subject"]) == ("revoked-token-used", revoked.split("_")[1])
        areas = {area["name"]: area["score"] for area in client.get(f"{OPS}/security/posture").json()["areas"]}
        assert areas["tokens"] < 100
        assert areas["audit-chain"] == 100
        assert areas["exposure"] == 100
        made = client.post(f"{OPS}/security/evidence", json={"reason": "a token was stolen", "people": ["bob"]})
        assert made.status_code == 201, made.text
        walk_through_the_commands(settings, made.json()["id"], tmp_path)


def walk_through_the_commands(settings: Settings, bundle: str, folder: Path) -> None:
    """As a person does it."""
    log, export = folder / "proxy.log", folder / "out.tar.gz"
    log.write_text("GET /\n")
    place = ["--api-url", settings.api_url, "--home", str(settings.home)]
    environment = {"PRODUCTOPS_TOKEN": TOKEN, "PRODUCTOPS_HOME": str(settings.home)}

    def run(*words: str) -> str:
        done = CliRunner().invoke(program, ["security", *words, *place], env=environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    assert "revoked-token-used" in run("findings")
    assert "of 100, that of the worst area" in run("posture")
    assert "proxy.log" in run("evidence", "take", "--reason", "x", "--venture", "apollo", "--file", str(log))
    assert bundle in run("evidence", "list")
    assert "items are as they were taken; the audit log says the same" in run("evidence", "verify", bundle)
    assert "Sam Lee" in run("evidence", "hand-over", bundle, "--to", "Sam Lee", "--reason", "analysis")
    assert "written to" in run("evidence", "export", bundle, "--reason", "court", "--to", str(export))
    assert "exported" in run("evidence", "show", bundle)
    assert "signed by a trusted key" in run("evidence", "verify", "--export", str(export))
