"""Scanners and parts lists: severities, waivers, fingerprints, and scans that did not happen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from productops.adapters.quality_inputs import read, read_all
from productops.domain.quality import Finding, FindingKind, Severity
from productops.errors import QualityInputError

DATA = Path(__file__).resolve().parents[1] / "data" / "quality"
CODE = Finding(FindingKind.CODE, "t", "r", Severity.LOW, "line 12 is 300 long", "a.py", 12)


def sarif(*results: object, **run: object) -> bytes:
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "t"}}, "results": results, **run}]}).encode()


def test_bandit_says_the_same_as_json_and_as_sarif():
    plain, standard = read(DATA / "bandit" / "bandit.json"), read(DATA / "bandit" / "bandit.sarif")
    both = [[(f.rule, f.severity, f.path, f.line, f.message) for f in each.findings] for each in (plain, standard)]
    assert both[0] == both[1]
    assert both[0][1][:4] == ("B602", Severity.HIGH, "shop/basket.py", 11)
    assert plain.findings[1].identifiers == ("CWE-78",)


def test_semgrep_says_the_same_as_json_and_as_sarif():
    plain, standard = read(DATA / "semgrep" / "semgrep.json"), read(DATA / "semgrep" / "semgrep.sarif")
    assert [(f.severity, f.path, f.line) for f in plain.findings] == [(f.severity, f.path, f.line) for f in standard.findings]
    assert plain.findings[0].own_fingerprints == (), "the words 'requires login' are no fingerprint"


def test_sarif_is_read_leniently_and_says_what_it_left_out():
    parsed = read(DATA / "sarif" / "codeql.sarif")
    injection, handler, unused, bare = parsed.findings
    assert (injection.severity, injection.cvss, injection.path, injection.identifiers) == (
        Severity.HIGH,
        8.8,
        "shop/basket of goods.py",
        ("CWE-89",),
    )
    assert (handler.rule, handler.message, handler.path, handler.line) == (
        "py/empty-except",
        "The handler of KeyError does nothing.",
        "shop/till.py",
        40,
    )
    assert (unused.message, unused.severity) == ("sys is unused", Severity.MEDIUM), "a waiver that is only asked for waives nothing"
    assert (bare.message, bare.severity) == ("a bare text", Severity.INFO)
    (waived,) = parsed.suppressed
    assert (waived.message, waived.path, waived.severity) == ("os is unused", "shop/till.py", Severity.LOW)
    assert len(parsed.skipped) == 5
    assert "disk full" in str(parsed.skipped)
    assert "does not" not in str(parsed.findings[1].rule)


def test_a_scan_that_did_not_succeed_is_told_even_if_it_found_nothing():
    parsed = read(sarif(invocations=[{"executionSuccessful": False}]), "s.sarif")
    assert [gap.where for gap in parsed.skipped] == ["s.sarif: $.runs[0].invocations[0]"]


def test_sarif_with_a_byte_order_mark_and_without_version_is_read():
    document = b"\xef\xbb\xbf" + sarif({"ruleId": "a", "message": {"text": "m"}}).replace(b'"version": "2.1.0", ', b"")
    assert read(document, "s.sarif").findings[0].severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("rule", "result", "severity"),
    [
        ({"defaultConfiguration": {"level": "error"}}, {}, Severity.HIGH),
        ({"defaultConfiguration": {"level": "error"}}, {"level": "note"}, Severity.LOW),
        ({"properties": {"security-severity": "9.8"}}, {"level": "note"}, Severity.CRITICAL),
        ({"properties": {"security-severity": "high"}}, {"level": "note"}, Severity.LOW),
        ({"properties": {"security-severity": 0}}, {}, Severity.INFO),
        ({}, {}, Severity.MEDIUM),
    ],
)
def test_the_severity_is_the_score_else_the_level_of_result_rule_or_standard(rule: dict, result: dict, severity: Severity):
    document = sarif({"ruleId": "a", "message": {"text": "m"}, **result}, tool={"driver": {"name": "t", "rules": [{"id": "a", **rule}]}})
    assert read(document, "s.sarif").findings[0].severity is severity


def test_a_fingerprint_outlives_moved_lines_and_changes_with_rule_file_and_words():
    assert replace(CODE, line=40, message="line 40 is 301  long", severity=Severity.HIGH, version="2").fingerprint == CODE.fingerprint
    others = [replace(CODE, rule="s"), replace(CODE, path="b.py"), replace(CODE, message="other"), replace(CODE, package="p")]
    others.append(replace(CODE, own_fingerprints=(("h", "1"),)))
    assert len({each.fingerprint for each in (CODE, *others)}) == 6


def test_a_fingerprint_is_the_same_on_two_machines():
    one, two = (
        read(
            sarif({"ruleId": "a", "message": {"text": "m"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri}}}]}),
            "s.sarif",
        )
        for uri in ("file:///builds/acme/shop/a.py", "file:///D:/a/shop/shop/a.py")
    )
    assert one.findings[0].fingerprint == two.findings[0].fingerprint


def test_a_vulnerability_is_the_same_after_its_text_was_edited():
    hole = replace(CODE, kind=FindingKind.VULNERABILITY, package="jinja2")
    assert replace(hole, message="edited").fingerprint == hole.fingerprint


def test_what_leaked_is_never_kept():
    for name in ("gitleaks/leaks.json", "trivy/image.json"):
        assert "AKIA" not in repr(read(DATA / name))
        assert "****" not in repr(read(DATA / name))
    (leak,) = read(DATA / "gitleaks" / "leaks.json").findings
    assert (leak.kind, leak.path, leak.line) == (FindingKind.SECRET, "deploy/settings.py", 7)


def test_trivy_tells_four_kinds_of_findings():
    parsed = read(DATA / "trivy" / "image.json")
    assert [(f.kind.value, f.rule, f.severity.value) for f in parsed.findings] == [
        ("vulnerability", "CVE-2023-5678", "medium"),
        ("vulnerability", "CVE-2024-0001", "critical"),
        ("code", "AVD-DS-0002", "high"),
        ("secret", "stripe-secret-token", "critical"),
        ("licence", "GPL-3.0", "high"),
    ]
    assert parsed.findings[0].path == "", "the tag of an image would make every release's findings new ones"


def test_grype_npm_and_pip_name_package_fix_and_identifiers():
    grype = read(DATA / "grype" / "image.json")
    assert [(f.package, f.fixed_in, f.cvss) for f in grype.findings] == [("Jinja2", "3.1.3", 6.1)]
    assert [f.rule for f in grype.suppressed] == ["CVE-2019-10906"]
    second, first = (read(DATA / "npm-audit" / f"version-{n}.json").findings for n in (2, 1))
    assert [(f.rule, f.package, f.fixed_in, f.severity) for f in second] == [
        ("GHSA-35jh-r3h4-6jhm", "lodash", "lodash 4.17.21", Severity.HIGH)
    ]
    assert [(f.rule, f.package, f.version, f.identifiers[1]) for f in first] == [
        ("GHSA-vh95-rmgr-6w4m", "minimist", "0.0.8", "CVE-2020-7598")
    ]
    (jinja,) = read(DATA / "pip-audit" / "vulnerable.json").findings
    assert (jinja.fixed_in, jinja.identifiers) == ("2.10.1", ("PYSEC-2019-217", "CVE-2019-10906", "GHSA-462w-v97r-4m45"))


def test_an_audit_that_could_not_be_made_is_no_clean_audit():
    with pytest.raises(QualityInputError, match="npm could not audit"):
        read(DATA / "npm-audit" / "refused.json")
    parsed = read(DATA / "pip-audit" / "not-audited.json")
    assert (parsed.findings, len(parsed.skipped)) == ((), 1)


def test_cyclonedx_says_the_same_as_json_and_as_xml():
    one, two = (read(DATA / "cyclonedx" / f"vulnerabilities.{kind}") for kind in ("json", "xml"))
    assert set(one.components) == set(two.components)
    assert one.findings == two.findings
    assert one.suppressed == two.suppressed
    assert {part.name: part.licences for part in one.components} == {
        "org.acme/core": ("Apache-2.0", "Acme Licence"),
        "inner": ("MIT OR (GPL-2.0-only WITH Classpath-exception-2.0)",),
    }
    assert [(f.rule, f.package, f.severity.value) for f in one.findings] == [
        ("CVE-2021-44228", "org.acme/core", "critical"),
        ("CVE-2021-44228", "inner", "critical"),
        ("CVE-2020-0003", "inner", "medium"),
    ]


def test_the_lists_of_a_real_tool_say_the_same_as_json_and_as_xml():
    one, two = (read(DATA / "cyclonedx" / f"cyclonedx-py.{kind}").components for kind in ("json", "xml"))
    assert set(one) == set(two)
    assert len(one) == 4


def test_spdx_is_read_without_the_product_itself():
    parsed = read(DATA / "spdx" / "parts.spdx.json")
    assert [(part.name, part.purl, part.licences) for part in parsed.components] == [
        ("requests", "pkg:pypi/requests@2.32.3", ("Apache-2.0",))
    ]
    with pytest.raises(QualityInputError, match=r"SPDX 2\.2 and 2\.3 are read"):
        read(b'{"spdxVersion": "SPDX-3.0"}', "s.json")


def test_a_folder_of_everything_is_read_as_one(tmp_path: Path):
    for path in DATA.glob("*/*.*"):
        if path.name != "refused.json":
            (tmp_path / f"{path.parent.name}-{path.name}").write_bytes(path.read_bytes())
    parsed = read_all(tmp_path)
    assert {"junit", "sarif", "cyclonedx", "lcov", "k6", "go-test", "wrk"} <= set(parsed.formats)
    assert min(len(parsed.tests), len(parsed.coverage.files), len(parsed.findings), len(parsed.components), len(parsed.series)) > 3


def test_severities_compare_and_steps_of_scores_are_those_of_cvss():
    assert [severity.rank for severity in Severity] == [4, 3, 2, 1, 0]
    steps = {10.0: "critical", 9.0: "critical", 8.9: "high", 7.0: "high", 6.9: "medium", 4.0: "medium", 3.9: "low", 0.1: "low", 0.0: "info"}
    assert {score: Severity.of_cvss(score).value for score in steps} == steps  # type: ignore[union-attr]
    assert [Severity.of_cvss(score) for score in (None, -1, 11, float("nan"))] == [None] * 4
