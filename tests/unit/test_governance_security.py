"""Rules of security operations, versions against advisories, and the seal of evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from pydantic import ValidationError

from productops.domain.catalog_security import SecurityPolicyEntry, SecurityPolicySpec
from productops.domain.governance_audit import AuditEntry
from productops.domain.governance_security import RuleId, Seen, Sighting, network_of
from productops.domain.governance_security_evidence import EvidenceItem, check, file_name, next_custody, seal
from productops.domain.governance_security_posture import Exposure, PostureFacts, posture_of
from productops.domain.governance_security_rules import ReleaseAsked, burst_findings, is_odd, odd_access, odd_release, own_approval
from productops.domain.governance_security_vulnerable import Advisory, Package, Span, advisories_of, affects, cvss3, find_vulnerable
from productops.domain.quality import Component
from productops.domain.release import Environment

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)  # a Wednesday
NIGHT = datetime(2026, 11, 18, 3, 0, tzinfo=UTC)
POLICY = SecurityPolicySpec.model_validate({"hours": {"start": "07:00", "end": "20:00"}})
EVENTS = [{"introduced": "0"}, {"fixed": "2"}]


def seen(kind: Seen, times: int, *, address: str = "203.0.113.7", subject: str = "", principal: str = "", ago_s: int = 60) -> Sighting:
    return Sighting(int(NOON.timestamp()) - ago_s, kind, subject, address, times, principal)


def entry(action: str, *, at: datetime = NIGHT, actor: str = "mia", subject: str = "principal/eve", detail: str = "{}") -> AuditEntry:
    return AuditEntry(7, at.isoformat(), actor, "", "", "api", action, subject, "", detail, "", "", "", "ab")


def rules(*found) -> dict[str, str]:
    return {each.rule.value: each.subject for each in found}


def test_failures_count_by_address_from_the_threshold_on():
    assert burst_findings([seen(Seen.UNKNOWN, 19)], POLICY, now=NOON) == []
    found = burst_findings([seen(Seen.UNKNOWN, 12), seen(Seen.THROTTLED, 8, ago_s=120)], POLICY, now=NOON)
    assert rules(*found) == {"failed-logins-address": "203.0.113.7"}
    assert found[0].value == 20
    assert "20 failed authentications from 203.0.113.7 within 5 minutes" in found[0].summary


def test_failures_from_many_addresses_as_one_person_are_seen_by_the_person():
    knocks = [seen(Seen.WRONG, 1, address=f"198.51.100.{n}", subject="a1", principal="mia") for n in range(10)]
    assert rules(*burst_findings(knocks, POLICY, now=NOON)) == {"failed-logins-user": "mia"}


def test_failures_before_the_window_do_not_count():
    assert burst_findings([seen(Seen.UNKNOWN, 100, ago_s=900)], POLICY, now=NOON) == []


def test_one_use_of_a_revoked_token_is_told_and_one_of_an_expired_token_is_not():
    found = burst_findings(
        [seen(Seen.REVOKED, 1, subject="a1", principal="mia"), seen(Seen.EXPIRED, 1, subject="b2", principal="bob")], POLICY, now=NOON
    )
    assert rules(*found) == {"revoked-token-used": "a1"}
    assert found[0].people == ("mia",)


def test_a_token_in_many_networks_is_told_and_one_household_is_one_network():
    spread = [seen(Seen.USED, 1, address=f"198.51.100.{n}", subject="a1", principal="mia") for n in range(5)]
    home = [seen(Seen.USED, 1, address=f"2001:db8::{n}", subject="b2", principal="bob") for n in range(1, 9)]
    assert rules(*burst_findings(spread + home, POLICY, now=NOON)) == {"token-many-addresses": "a1"}
    assert network_of("2001:db8::1") == "2001:db8::/64"
    assert network_of("*") == "*"


def test_many_refused_operations_of_one_person_are_told():
    assert rules(*burst_findings([seen(Seen.REFUSED, 25, principal="eve", subject="eve")], POLICY, now=NOON)) == {
        "refused-operations": "eve"
    }


def test_hours_are_odd_outside_the_working_time_unless_they_are_the_persons_own():
    nights = [NIGHT - timedelta(days=day, minutes=m) for day in range(1, 15) for m in range(0, 20, 5)]
    assert not is_odd(NOON, POLICY, [])
    assert is_odd(NIGHT, POLICY, [])
    assert not is_odd(NIGHT, POLICY, nights)
    assert is_odd(NIGHT, POLICY, nights[:20])  # too few to know
    assert is_odd(NIGHT, POLICY, [NIGHT - timedelta(minutes=m) for m in range(300)])  # all of it tonight: perhaps the intruder


def test_without_declared_hours_only_a_persons_own_past_says_what_is_odd():
    days = [NOON - timedelta(days=day, minutes=m) for day in range(1, 15) for m in range(0, 20, 5)]
    assert not is_odd(NIGHT, SecurityPolicySpec(), [])
    assert is_odd(NIGHT, SecurityPolicySpec(), days)
    assert not is_odd(NOON, SecurityPolicySpec(), days)


def test_only_wide_tokens_are_told_at_night_and_grants_always():
    wide = entry("token.created", detail='{"after":{"operations":null,"venture":"apollo"}}')
    narrow = entry("token.created", detail='{"after":{"operations":["release.read"],"venture":"apollo"}}')
    assert odd_access(wide, POLICY, [], venture=None) is not None
    assert odd_access(narrow, POLICY, [], venture=None) is None
    assert odd_access(entry("access.granted"), POLICY, [], venture=None) is not None
    assert odd_access(entry("access.granted", at=NOON), POLICY, [], venture=None) is None


@pytest.mark.parametrize(
    ("at", "earlier", "own", "severity"),
    [(NOON, 12, 3, None), (NOON, 3, 0, None), (NOON, 12, 0, "SEV4"), (NIGHT, 12, 3, "SEV4"), (NIGHT, 12, 0, "SEV3")],
)
def test_a_release_is_unusual_by_its_hour_and_its_person(at, earlier, own, severity):
    asked = ReleaseAsked(entry("release.requested", at=at), "apollo", "shop", Environment.PRODUCTION, earlier, own)
    found = odd_release(asked, POLICY, [])
    assert (found.severity if found else None) == severity


def test_an_approval_of_ones_own_is_told():
    signed = entry("approval.signed")
    assert own_approval(signed, POLICY, requested_by="bob", venture="apollo", title="x") is None
    assert own_approval(signed, POLICY, requested_by="mia", venture="apollo", title="x") is not None


def test_an_exception_covers_until_it_ends_and_a_rule_can_be_off():
    [found] = burst_findings([seen(Seen.UNKNOWN, 99)], POLICY, now=NOON)
    until = (NOON + timedelta(hours=1)).isoformat()
    spec = {"rule": "failed-logins-address", "subject": "203.0.113.*", "reason": "our own scanner", "until": until}
    policy = SecurityPolicySpec.model_validate({"exceptions": [spec]})
    assert policy.excused(found, now=NOON)
    assert not policy.excused(found, now=NOON + timedelta(hours=2))
    assert SecurityPolicySpec.model_validate({"rules": {"failed-logins-address": {"enabled": False}}}).excused(found, now=NOON)


def test_a_policy_of_a_venture_cannot_say_who_answers_for_the_installation():
    document = {
        "apiVersion": "productops/v1", "kind": "SecurityPolicy", "metadata": {"name": "x", "venture": "apollo"},
        "spec": {"answers": "apollo"},
    }  # fmt: skip
    with pytest.raises(ValidationError, match="belongs to the installation's policy"):
        SecurityPolicyEntry.model_validate(document)


def advisory(ecosystem: str, *events: tuple[str, str], kind: str = "ECOSYSTEM", versions: tuple[str, ...] = ()) -> Advisory:
    return Advisory("X-1", Package(ecosystem, "p"), (Span(kind, events),), frozenset(versions), "high", "")


@pytest.mark.parametrize(
    ("found", "inside", "outside"),
    [
        (advisory("PyPI", ("introduced", "0"), ("fixed", "2.31.0")), ["1", "2.30.9", "2.31.0rc1"], ["2.31", "2.31.0.post1", "3"]),
        (advisory("PyPI", ("introduced", "1.0"), ("last_affected", "1.5")), ["1.0", "1.5"], ["0.9", "1.5.1"]),
        (
            advisory("npm", ("introduced", "0"), ("fixed", "1.2.3"), ("introduced", "2.0.0"), ("fixed", "2.0.5"), kind="SEMVER"),
            ["1.2.2", "1.2.3-beta.2", "2.0.0", "2.0.4"],
            ["1.2.3", "1.9.0", "2.0.5", "10.0.0"],
        ),
        (advisory("Go", ("introduced", "1.0.0"), ("limit", "2.0.0"), kind="SEMVER"), ["v1.4.0"], ["v2.0.0", "0.9.0"]),
        (advisory("Debian", ("introduced", "0"), ("fixed", "1.2.10")), ["1.2.9"], ["1.2.10", "1.3"]),
        (advisory("PyPI", versions=("4.0",)), ["4.0"], ["4.0.1"]),
    ],
)
def test_versions_lie_in_ranges_as_the_schema_of_osv_says(found, inside, outside):
    assert [v for v in inside if not affects(found, v)] == []
    assert [v for v in outside if affects(found, v)] == []


@given(st.lists(st.integers(0, 12), min_size=1, max_size=3), st.lists(st.integers(0, 12), min_size=1, max_size=3))
def test_a_fixed_version_and_all_later_ones_are_good(fixed, version):
    end, asked = ".".join(map(str, fixed)), ".".join(map(str, version))
    assert affects(advisory("PyPI", ("introduced", "0"), ("fixed", end)), asked) == (Version(asked) < Version(end))


def test_parts_are_matched_by_their_package_url_whatever_the_spelling():
    document = {
        "id": "GHSA-1", "aliases": ["CVE-2026-1"], "database_specific": {"severity": "MODERATE"},
        "affected": [{"package": {"ecosystem": "PyPI", "name": "My_Lib"}, "ranges": [{"type": "ECOSYSTEM", "events": EVENTS}]}],
    }  # fmt: skip
    [found] = advisories_of(document)
    known = {found.package: [found]}
    [hit] = find_vulnerable([Component("my-lib", "1.0", "pkg:pypi/my.lib@1.0"), Component("other", "1", "pkg:npm/my-lib@1.0")], known)
    assert (hit.version, hit.severity, hit.advisories[0].fixed_in) == ("1.0", "medium", ("2",))
    assert advisories_of(document | {"withdrawn": "2026-01-01T00:00:00Z"}) == []
    with pytest.raises(ValueError, match="no OSV advisory"):
        advisories_of({"affected": []})


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.0/AV:L/AC:H/PR:H/UI:N/S:U/C:L/I:N/A:N", 1.9),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:4.0/AV:N", None),
        ("junk", None),
    ],
)
def test_base_scores_are_those_of_the_specification(vector, score):
    assert cvss3(vector) == score


ITEMS = [EvidenceItem("audit.jsonl", "audit", b"one\n"), EvidenceItem("../../etc/passwd", "file", b"two\n")]


def sealed():
    bundle = seal(ITEMS, bundle_id="b", incident_id=None, venture="apollo", title="t", by="mia", now=NOON, reason="r")
    first = next_custody(bundle, None, "taken", who="mia", reason="r", now=NOON)
    second = next_custody(bundle, first, "handed-on", who="mia", to="bob", reason="r", now=NOON)
    return bundle, {file_name(n, each.name): each.content for n, each in enumerate(ITEMS)}, [first, second]


def test_evidence_that_nobody_touched_fits():
    bundle, contents, custody = sealed()
    assert check(bundle.manifest, contents, custody, expected=bundle.manifest_hash) == []
    assert list(contents) == ["0000-audit.jsonl", "0001-passwd"]


@pytest.mark.parametrize("damage", ["byte", "missing", "added", "manifest", "who", "cut", "reordered"])
def test_every_change_of_evidence_is_found(damage):
    bundle, contents, custody = sealed()
    manifest = bundle.manifest
    if damage == "byte":
        contents["0000-audit.jsonl"] = b"onE\n"
    elif damage == "missing":
        del contents["0001-passwd"]
    elif damage == "added":
        contents["0002-more"] = b""
    elif damage == "manifest":
        manifest = manifest.replace('"mia"', '"bob"')
    elif damage == "who":
        custody[1] = replace(custody[1], to="eve")
    elif damage == "cut":
        custody = custody[1:]
    else:
        custody.reverse()
    assert check(manifest, contents, custody, expected=bundle.manifest_hash)


def test_the_posture_is_that_of_the_worst_area_and_what_is_unknown_has_no_score():
    open_door = Exposure(loopback=False, tls=False, behind_proxy=False, installation_token=True)
    found = posture_of(PostureFacts([], [], []), open_door, whole=True, now=NOON)
    scores = {area.name: area.score for area in found.areas}
    assert scores == {"tokens": 80, "roles": 100, "vulnerable-parts": None, "audit-chain": None, "exposure": 20}
    assert found.score == 20
    assert all(reason.remedy for area in found.areas for reason in area.reasons)


def test_who_sees_some_ventures_only_is_told_what_is_hidden():
    found = posture_of(PostureFacts([], [], []), None, whole=False, now=NOON)
    assert {area.name: area.score for area in found.areas} == {
        "tokens": 100, "roles": 100, "vulnerable-parts": 100, "audit-chain": None, "exposure": None,
    }  # fmt: skip


def test_all_rules_are_shipped():
    assert {POLICY.rule(rule).id for rule in RuleId} == set(RuleId)
