"""Inputs that lie, break off, or want to hurt: one error class, with file, place and reason, or a note of what was left out."""

from __future__ import annotations

import io
import json
import os
import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from productops.adapters.quality_inputs import detect, json_document, junit, read, read_all, read_archive, samples, xml_stream
from productops.adapters.quality_inputs.limits import FILE_BYTES_MAX
from productops.domain.quality import Outcome
from productops.errors import QualityInputError

DATA = Path(__file__).resolve().parents[1] / "data" / "quality"
QUOTES_A = '<testsuite><testcase name="a"><failure>&a;</failure></testcase></testsuite>'
SMALL = '<testsuite name="s"><testcase name="{name}"/></testsuite>'


def refused(content: bytes | Path, name: str = "r.xml") -> QualityInputError:
    with pytest.raises(QualityInputError) as caught:
        read(content, name)
    assert caught.value.detail.startswith(name)
    assert (caught.value.slug, caught.value.exit_code, caught.value.status) == ("quality-input-invalid", 65, 422)
    return caught.value


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><testsuite name="&c;"/>', "document type of its own"),
        ('<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + QUOTES_A, "document type of its own"),
        ('<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]><testsuite/>', "document type of its own"),
        ('<!DOCTYPE testsuite SYSTEM "http://127.0.0.1:9/x.dtd">' + QUOTES_A, "entity &a;"),
        ("<testsuite><testcase name=\"&nbsp;\"/></testsuite>", "undefined entity"),
        ('<testsuite><testcase name="a">', "ends in the middle"),
        ("<testsuite", "ends in the middle"),
        ("<testsuite><testcase name=a/></testsuite>", "is no XML here"),
        ("<testsuite></wrong>", "is no XML here"),
        ("<a>" * 300 + "</a>" * 300, "no known format"),
        ("<testsuite>" * 300 + "</testsuite>" * 300, "within 200 others"),
        ("<testsuite/><other/>", "begins with <other>"),
        ("<testsuite/>junk", "is no XML here"),
        ("<html><body>502 Bad Gateway</body></html>", "no known format"),
        ("", "is empty"),
        ("\x00" * 5000, "no known format"),
    ],
)  # fmt: skip
def test_xml_that_breaks_or_attacks_is_refused(document: str, reason: str):
    assert reason in refused(document.encode()).detail


def test_a_refusal_names_line_and_column():
    error = refused(b'<testsuite>\n <testcase name="a"/>\n <testcase name="b"></oops>\n</testsuite>')
    assert "line 3, column 23" in error.detail
    assert error.extra == {"file": "r.xml", "where": "line 3, column 23"}


def test_line_numbers_go_on_through_several_documents():
    assert "line 3" in refused(b"<testsuite/>\n<testsuite/>\n<testsuite><").detail


def test_a_document_type_that_says_nothing_is_read():
    assert read(DATA / "jacoco" / "jacoco.xml").format == "jacoco"
    assert read(DATA / "jest" / "cobertura.xml").format == "cobertura"


@pytest.mark.parametrize(
    "shape", ['<testsuite><testcase name="{}"/></testsuite>', "<testsuite><!--{}--></testsuite>", "<testsuite><?a {}?></testsuite>"]
)
def test_a_tag_or_comment_without_end_is_refused_before_it_fills_the_memory(shape: str):
    document = shape.format("x" * 5_000_000).encode()
    tracemalloc.start()
    assert "more than 1,048,576 bytes" in refused(document).detail
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_output_of_any_length_is_passed_over():
    document = f'<testsuite name="s"><testcase name="a"><system-out><![CDATA[{"out " * 2_000_000}]]></system-out></testcase></testsuite>'
    tracemalloc.start()
    assert len(read(document.encode(), "r.xml").tests) == 1
    assert tracemalloc.get_traced_memory()[1] < 8_000_000 + len(document)
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("encoded", "note"),
    [
        (SMALL.format(name="Käse €").encode("utf-8-sig"), ""),
        (('<?xml version="1.0" encoding="UTF-16"?>' + SMALL.format(name="Käse €")).encode("utf-16"), ""),
        (SMALL.format(name="Käse €").encode("utf-16-le"), ""),
        (SMALL.format(name="Käse €").encode("utf-16-be"), ""),
        (('<?xml version="1.0" encoding="windows-1252"?>' + SMALL.format(name="Käse €")).encode("cp1252"), ""),
        (('<?xml version="1.0" encoding="utf-16"?>' + SMALL.format(name="Käse €")).encode(), ""),
        (('<?xml version="1.0" encoding="UTF-8"?>' + SMALL.format(name="Käse €").replace("€", "E")).encode("latin-1"), "Latin-1"),
    ],
)  # fmt: skip
def test_encodings_are_known_by_the_bytes_even_when_the_declaration_lies(encoded: bytes, note: str):
    parsed = read(encoded, "r.xml")
    assert parsed.tests[0].name in {"Käse €", "Käse E"}
    assert [note in gap.reason for gap in parsed.skipped] == ([True] if note else [])


def test_an_encoding_that_is_none_is_refused():
    for encoding in ("rot13", "zlib", "utf-7", "no-such"):
        assert "declares the encoding" in refused(f'<?xml version="1.0" encoding="{encoding}"?><testsuite/>'.encode()).detail


def test_characters_that_xml_forbids_are_replaced_and_told():
    parsed = read(
        b'<testsuite><testcase name="a"><failure message="&#27;[31mred&#x0;">\x1b[0m \x00</failure></testcase></testsuite>', "r.xml"
    )
    assert parsed.tests[0].message.startswith("\ufffd[31mred\ufffd")
    assert "control characters" in parsed.skipped[0].reason


def test_a_forbidden_reference_is_found_where_pieces_meet(monkeypatch: pytest.MonkeyPatch):
    document = '<testsuite><testcase name="' + "x" * 30 + "&#x000000000000001b;&#65;" + '"/></testsuite>'
    for size in range(1, 60):
        monkeypatch.setattr("productops.adapters.quality_inputs.source.CHUNK_BYTES", size)
        parsed = junit.read(document.encode(), "r.xml")
        assert parsed.tests[0].name == "x" * 30 + "\ufffdA"


def test_a_huge_sparse_file_is_refused_without_being_read(tmp_path: Path):
    path = tmp_path / "sparse.xml"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    tracemalloc.start()
    assert f"at most {FILE_BYTES_MAX:,} are read" in refused(path, str(path)).detail
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_pipe_a_folder_and_what_is_not_there_are_refused_and_never_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.xml")
    assert "is not a plain file" in refused(tmp_path / "pipe.xml", str(tmp_path / "pipe.xml")).detail
    assert "is not a plain file" in refused(tmp_path, str(tmp_path)).detail
    assert "No such file" in refused(tmp_path / "none.xml", str(tmp_path / "none.xml")).detail


def test_more_tests_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("productops.adapters.quality_inputs.cases.CASES_MAX", 3)
    assert "tests" in refused(b"<testsuite>" + b'<testcase name="a"/>' * 4 + b"</testsuite>").detail


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"runs": [}', "is no JSON here"),
        ('{"runs": [{"tool": 1', "ends in the middle"),
        ('{"runs": ["abc', "ends in the middle"),
        ("[" * 100_000, "nests too deep"),
        ('{"runs": [], "version": "2.1.0", "runs": [1]}', "'runs' stands twice"),
        ('{"version": "2.1.0", "runs": 7}', "a list of runs is expected here, not a number"),
        ('{"a": ' + "9" * 5000 + "}", "is no JSON that can be used"),
        ("[]", "say which format is expected"),
        ("{}", "of no known format"),
    ],
)  # fmt: skip
def test_json_that_breaks_or_attacks_is_refused(document: str, reason: str):
    assert reason in refused(document.encode(), "r.json").detail


def test_json_of_more_values_than_the_limit_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_document, "JSON_VALUES_MAX", 1000)
    assert "more than 1,000 values" in refused(b'{"runs": [' + b"[]," * 1000 + b"[]]}", "r.json").detail


def test_an_empty_list_is_read_when_the_format_is_named():
    assert read(b"[]", "r.json", expected="gitleaks").findings == ()
    with pytest.raises(QualityInputError, match="there is no format 'gitleeks'"):
        read(b"[]", "r.json", expected="gitleeks")


def test_zero_bytes_and_halves_of_characters_do_not_get_through_json():
    result = {"check_id": "r\x00", "path": "a.py", "start": {"line": 1}, "extra": {"message": "half \ud83d", "severity": "ERROR"}}
    (finding,) = read(json.dumps({"results": [result], "errors": [], "paths": {}}).encode(), "r.json").findings
    assert (finding.rule, finding.message) == ("r\ufffd", "half ?")


def test_a_line_without_end_is_refused():
    assert "characters" in refused(b"TN:\nSF:a.py\nDA:1," + b"1" * 3_000_000, "r.info").detail


def test_more_measurements_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(samples, "SAMPLES_MAX", 3)
    assert "more than 3 measurements" in refused(b'{"a": [1, 2, 3, 4]}', "r.json").detail


def archive(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize("name", ["../r.xml", "/etc/r.xml", "a/../../r.xml", "C:\\r.xml", "a\\..\\r.xml"])
def test_an_archive_whose_names_lead_out_of_it_is_refused(name: str):
    with pytest.raises(QualityInputError, match="land elsewhere"):
        read_archive(archive({name: b"<testsuite/>"}), "reports.zip")


def test_an_archive_that_grows_without_measure_is_refused():
    bomb = archive({"r.xml": b"<testsuite>" + b" " * 60_000_000})
    assert len(bomb) < 100_000
    with pytest.raises(QualityInputError, match="unpacks to more than is read"):
        read_archive(bomb, "reports.zip")


def test_an_archive_that_is_cut_off_or_none_at_all_is_refused():
    whole = archive({"r.xml": SMALL.format(name="a").encode()})
    for content in (whole[:-30], whole[: len(whole) // 2], b"PK\x03\x04 nothing"):
        with pytest.raises(QualityInputError, match="reports.zip"):
            read_archive(content, "reports.zip")


def test_a_broken_file_in_a_folder_is_refused_and_an_unknown_one_is_told(tmp_path: Path):
    (tmp_path / "good.xml").write_text(SMALL.format(name="a"))
    (tmp_path / "page.html").write_text("<html/>")
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "settings.json").write_text('{"colour": "red"}')
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "other.xml").write_text(SMALL.format(name="b"))
    (tmp_path / "link.xml").symlink_to("/etc/passwd")
    parsed = read_all(tmp_path)
    assert [each.name for each in parsed.tests] == ["a"]
    assert [(Path(gap.where).name, gap.reason.split(":")[0]) for gap in parsed.skipped] == [
        ("link.xml", "is a link; links are not followed"),
        ("settings.json", "is of no known format"),
    ]
    (tmp_path / "broken.xml").write_text("<testsuite><testcase")
    with pytest.raises(QualityInputError, match=r"broken\.xml.*ends in the middle"):
        read_all(tmp_path)


def test_a_place_without_any_input_is_refused(tmp_path: Path):
    (tmp_path / "a.txt").write_text("nothing")
    for where in (tmp_path, str(tmp_path / "*.xml")):
        with pytest.raises(QualityInputError, match="holds no input of a known format"):
            read_all(where)


def test_every_beginning_of_every_sample_is_read_or_refused_and_never_says_more_than_the_whole():
    for path in sorted(DATA.glob("*/*.*")):
        content = path.read_bytes()
        if path.suffix not in {".xml", ".json", ".sarif", ".info", ".lcov"} or path.name == "refused.json":
            continue
        for share in (0.1, 0.5, 0.9, 0.99):
            with pytest.raises(QualityInputError):
                read(content.rstrip()[: int(len(content.rstrip()) * share)], path.name)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_cause_another_error(content: bytes):
    for beginning in (
        b"",
        b"<testsuite>",
        b'{"runs": [',
        b"TN:\n",
        b"name,value\n",
        b"Running 1s test @ x\n",
        b'{"Action": "run", "Package": "p"}\n',
    ):
        try:
            read(beginning + content, "r")
        except QualityInputError:
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def mutilated(document: object, data: st.DataObject) -> object:
    """The document with one value, somewhere, replaced by anything."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 9)):
        key = data.draw(st.sampled_from(sorted(document)))
        return {**document, key: mutilated(document[key], data)}
    if isinstance(document, list) and document and data.draw(st.integers(0, 9)):
        place = data.draw(st.integers(0, len(document) - 1))
        return [*document[:place], mutilated(document[place], data), *document[place + 1 :]]
    return data.draw(JSON)


@given(st.data())
def test_a_sample_with_one_value_replaced_is_read_or_refused(data: st.DataObject):
    path = data.draw(st.sampled_from(sorted([*DATA.glob("*/*.json"), *DATA.glob("*/*.sarif")])))
    document = mutilated(json.loads(path.read_text(encoding="utf-8")), data)
    try:
        read(json.dumps(document).encode(), path.name)
    except QualityInputError:
        return


def test_every_sample_is_recognised_by_its_content_alone():
    expected = {
        "coverage-py/coverage.xml": "cobertura",
        "coverage-py/coverage.lcov": "lcov",
        "go/test.ndjson": "go-test",
        "jest/jest.json": "jest",
    }
    expected |= {"playwright/playwright.json": "playwright", "jest/cobertura.xml": "cobertura", "jest/lcov.info": "lcov"}
    expected |= {f"{name}.sarif": "sarif" for name in ("bandit/bandit", "semgrep/semgrep", "sarif/codeql")}
    junit_like = {"pytest", "jest", "mocha", "playwright", "surefire", "go", "googletest"}
    for path in sorted(DATA.glob("*/*.*")):
        name = str(path.relative_to(DATA))
        otherwise = "junit" if path.parent.name in junit_like else path.parent.name
        assert detect(path.read_bytes(), name) == expected.get(name, "coverage-py" if name == "coverage-py/coverage.json" else otherwise), (
            name
        )


def test_a_hundred_thousand_tests_are_read_whole(tmp_path: Path):
    path = tmp_path / "many.xml"
    with path.open("w") as file:
        file.write('<testsuites><testsuite name="many" failures="1000">')
        for n in range(100_000):
            bad = '<failure message="no">why</failure>' if n % 100 == 0 else ""
            file.write(f'<testcase classname="area_{n % 97}" name="test_{n}" time="0.00{n % 10}">{bad}</testcase>')
        file.write("</testsuite></testsuites>")
    parsed = read(path)
    assert (len(parsed.tests), len({each.key for each in parsed.tests})) == (100_000, 100_000)
    assert sum(each.outcome is Outcome.FAILED for each in parsed.tests) == 1000
    assert sum(each.duration_s or 0 for each in parsed.tests) == pytest.approx(450)
    assert parsed.skipped == ()


def test_the_limits_on_elements_hold(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(xml_stream, "ELEMENTS_MAX", 100)
    assert "more than 100 elements" in refused(b"<testsuite>" + b"<properties/>" * 200 + b"</testsuite>").detail


@pytest.mark.parametrize("seed", range(4))
def test_samples_with_bytes_changed_lost_and_doubled_are_read_or_refused(seed: int):
    chance = random.Random(seed)
    samples_ = [path.read_bytes()[:20_000] for path in sorted(DATA.glob("*/*.*"))]
    odd = [b"\x00", b"\xff\xfe", b"<", b"&", b'"', b"1e999", b"-1", b"null", b"{}", b"[]", b","]
    for _ in range(150):
        content = bytearray(chance.choice(samples_))
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(content) or 1)
            instead = chance.choice([*odd, bytes(content[place : place + 40]), b""])
            content[place : place + chance.choice([0, 1, 30])] = instead
        try:
            read(bytes(content), "r")
        except QualityInputError:
            continue
