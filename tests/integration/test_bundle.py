"""Evidence bundles: the same release gives the same bytes, they are checked without a store, and nothing hostile is taken for one."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from productops.adapters.audit_anchors import AnchorFolder, is_signed, is_signed_bytes, read_anchors, read_or_make_key
from productops.adapters.release_bundle import pack, read_archive, unpack
from productops.adapters.release_bundle_artifact import artifact_digest
from productops.domain.analysis import Look, Verdict
from productops.domain.catalog import Service, ServiceSpec
from productops.domain.governance_access import Grant, Principal, Role
from productops.domain.release import Phase, StepRecord
from productops.domain.release_bundle import ANCHORS, CHAIN, MANIFEST, SIGNED_MANIFEST, open_envelope, pre_authentication
from productops.domain.release_bundle_check import check_bundle
from productops.errors import (
    AuditBrokenError,
    BundleChangedError,
    BundleSignatureError,
    BundleUnreadableError,
    NotFoundError,
    ProductOpsError,
)
from productops.store.identity import new_id
from productops.usecases import release_bundle
from productops.usecases.context import Actor, Clock
from productops.usecases.governance_audit import write_anchor
from tests.support import PRODUCTION, SOMEBODY, add_service

AT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


class Fixed(Clock):
    """A clock that stands."""

    at = AT

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def lab(context):
    return replace(context, clock=Fixed())


@pytest.fixture
def key(tmp_path):
    return read_or_make_key(tmp_path / "audit-key")


def fill(context, count=3):
    """What others do meanwhile."""
    with context.store.write() as unit:
        for number in range(count):
            unit.audit.add("flag.ramp", f"flag/secret-plan-{number}", actor="maximilian", origin="cli", now=AT, reason="nobody's business")


@pytest.fixture
def release(lab):
    """A promoted release with a step, looks and entries, as the use cases write it, without its long way."""
    from productops.usecases.release_request import ReleaseWish, request_release

    add_service(lab, live="1.0")
    made = request_release(lab, ReleaseWish(service="shop", version="2.0", environment=PRODUCTION, note="faster carts"), actor=SOMEBODY)
    with lab.store.write() as unit:
        record = StepRecord(index=0, weight_pct=20, hold_s=2.5, header_only=False, started_at=AT)
        unit.releases.move(made.id, Phase.DEPLOYING, actor="flow", reason="", now=AT)
        unit.releases.move(made.id, Phase.ROLLING_OUT, actor="flow", reason="", now=AT)
        unit.releases.start_step(made.id, record)
        looks = [
            Look(at_s=second, verdict=Verdict.PASSED, reason="fine", log_e=0.1, log_e_safe=1.0, certified=False, evidence={"n": second})
            for second in (1, 2)
        ]
        unit.releases.add_looks(made.id, 0, looks, now=AT)
        unit.releases.end_step(made.id, 0, verdict="passed", reason="fine", summary={}, now=AT)
        for phase in (Phase.PROMOTING, Phase.VALIDATING, Phase.PROMOTED):
            unit.releases.move(made.id, phase, actor="flow", reason="", now=AT)
    fill(lab)
    with lab.store.write() as unit:
        artifact = {"uri": "2.0", "dirHash": "ab" * 32}
        unit.audit.add("release.deploying", f"release/{made.id}", actor="flow", origin="prefect", now=AT, detail={"artifact": artifact})
        unit.audit.add("release.promoted", f"release/{made.id}", actor="flow", origin="prefect", now=AT)
    fill(lab)
    return made


def bundle(context, release, key, anchors=()):
    return release_bundle.make_bundle(context, release.id, key, list(anchors), actor=SOMEBODY)


def check(archive, keys):
    return check_bundle(unpack(archive), keys, is_signed=is_signed_bytes, is_anchor=is_signed)


def test_the_same_release_gives_the_same_bytes_but_for_the_times_of_signing(lab, release, key, tmp_path):
    first = bundle(lab, release, key)
    assert bundle(lab, release, key) == first
    lab.clock.at = AT + timedelta(hours=1)
    fill(lab)
    later = unpack(bundle(lab, release, key))
    assert {name for name, content in unpack(first).items() if later[name] != content} == {MANIFEST, SIGNED_MANIFEST, ANCHORS}
    book = AnchorFolder(tmp_path / "anchors")
    write_anchor(lab, key, book, actor=SOMEBODY)
    anchored = bundle(lab, release, key, read_anchors(tmp_path / "anchors"))
    lab.clock.at = AT + timedelta(hours=2)
    again = unpack(bundle(lab, release, key, read_anchors(tmp_path / "anchors")))
    assert {name for name, content in unpack(anchored).items() if again[name] != content} == {SIGNED_MANIFEST}


def test_a_bundle_proves_itself_and_says_what_is_absent(lab, release, key):
    proof = check(bundle(lab, release, key), {key.public})
    assert (proof.release["id"], proof.release["phase"], proof.statements, proof.entries) == (release.id, "promoted", 3, 3)
    assert proof.links == 3, "what others did between the first and the last of them"
    assert [line.partition(":")[0] for line in proof.absent] == [
        "SBOM (CycloneDX)", "approvals", "findings of scanners (SARIF)", "test results"
    ]  # fmt: skip


def test_a_bundle_tells_nothing_of_what_others_did_but_that_they_did(lab, release, key):
    archive = bundle(lab, release, key)
    for private in (b"secret-plan", b"nobody's business", b"maximilian"):
        assert private not in archive


def test_the_statements_are_in_toto_and_any_dsse_tool_can_check_them(lab, release, key):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    files = unpack(bundle(lab, release, key))
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public))
    kinds = {}
    for name in (n for n in files if n.endswith(".dsse.json")):
        envelope = open_envelope(files[name])
        public.verify(envelope.signature, pre_authentication(envelope.payload))
        kinds[name] = envelope.statement["predicateType"]
        assert envelope.statement["_type"] == "https://in-toto.io/Statement/v1"
    assert kinds["attestations/summary.dsse.json"] == "https://slsa.dev/verification_summary/v1"
    told = json.loads(open_envelope(files["attestations/provenance.dsse.json"]).payload)
    assert told["subject"][1] == {"name": "shop@2.0", "uri": "2.0", "digest": {"dirHash": "ab" * 32}}
    summary = json.loads(open_envelope(files["attestations/summary.dsse.json"]).payload)["predicate"]
    assert (summary["verificationResult"], len(summary["inputAttestations"])) == ("PASSED", 2)


def test_other_programs_can_open_it(lab, release, key):
    with zipfile.ZipFile(io.BytesIO(bundle(lab, release, key))) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("release.json"))["version"] == "2.0"
        assert len(archive.read("looks.ndjson").splitlines()) == 2


def test_a_flipped_byte_of_any_file_is_named(lab, release, key):
    files = unpack(bundle(lab, release, key))
    assert len(files) == 16
    for name, content in files.items():
        for at in {0, len(content) // 2, len(content) - 1} if content else ():
            forged = {**files, name: content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]}
            with pytest.raises((BundleChangedError, BundleSignatureError)) as caught:
                check_bundle(forged, {key.public}, is_signed=is_signed_bytes, is_anchor=is_signed)
            assert caught.value.extra["file"] == name


def test_a_flipped_byte_anywhere_in_the_archive_is_found(lab, release, key):
    archive = bundle(lab, release, key)
    for at in [*range(0, len(archive), 211), *range(len(archive) - 1500, len(archive), 7)]:
        forged = archive[:at] + bytes([archive[at] ^ 0x10]) + archive[at + 1 :]
        with pytest.raises((BundleUnreadableError, BundleChangedError, BundleSignatureError)):
            check(forged, {key.public})


def test_files_that_are_missing_or_put_in_are_named(lab, release, key):
    files = unpack(bundle(lab, release, key))
    without = {name: content for name, content in files.items() if name != "looks.ndjson"}
    with pytest.raises(BundleChangedError, match=r"looks.ndjson is missing"):
        check(pack(without), {key.public})
    with pytest.raises(BundleChangedError, match=r"more.json was put in"):
        check(pack(files | {"more.json": b"{}"}), {key.public})
    with pytest.raises(BundleUnreadableError, match=r"has no manifest.dsse.json"):
        check(pack({"a.txt": b"no bundle"}), {key.public})


def test_a_bundle_by_another_key_is_not_trusted(lab, release, key, tmp_path):
    other = read_or_make_key(tmp_path / "other")
    with pytest.raises(BundleSignatureError, match=r"manifest.dsse.json is signed by the key .*…, which is not trusted"):
        check(bundle(lab, release, other), {key.public})
    assert check(bundle(lab, release, other), set()).key == other.public


def resigned(files, key, name, content):
    """Somebody who has the key but not the log: manifest and signature fit, the chain does not."""
    from productops.domain.release_bundle import BUNDLE_PREDICATE, manifest, seal, statement, subject_of

    listed = json.loads(files[MANIFEST])
    changed = {n: c for n, c in files.items() if n not in {MANIFEST, SIGNED_MANIFEST}} | {name: content}
    told = manifest(listed["release"], changed, {a["what"]: a["why"] for a in listed["absent"]})
    signed = seal(statement(BUNDLE_PREDICATE, {"signedAt": ""}, [subject_of(MANIFEST, told)]), key=key.public, sign=key.sign_bytes)
    return pack(changed | {MANIFEST: told, SIGNED_MANIFEST: signed})


def test_a_chain_that_was_changed_cut_or_shuffled_is_named(lab, release, key):
    files = unpack(bundle(lab, release, key))
    lines = files[CHAIN].splitlines(keepends=True)
    forged = {
        "does not give its hash": [*lines[:-1], lines[-1].replace(b"release.promoted", b"release.prometed")],
        "does not continue entry": [lines[0], *lines[2:]],
        "no anchor vouches": lines[:-1],
        "is neither an audit entry nor a link": [b"{}\n", *lines[1:]],
    }
    for sentence, changed in forged.items():
        with pytest.raises((AuditBrokenError, BundleUnreadableError), match=sentence):
            check(resigned(files, key, CHAIN, b"".join(changed)), {key.public})


def hostile():
    """Name → archive, and what is said of it."""

    def zipped(*members, method=zipfile.ZIP_STORED):
        with io.BytesIO() as file:
            with zipfile.ZipFile(file, "w", method) as archive:
                for name, content in members:
                    archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
            return file.getvalue()

    good = pack({"manifest.json": b"{}"})
    return {
        "bomb": (zipped(("a.txt", b"0" * 5_000_000), method=zipfile.ZIP_DEFLATED), "compressed"),
        "parent": (zipped(("../../etc/cron.d/x", b"x")), "leads out of the archive"),
        "root": (zipped(("/etc/passwd", b"x")), "leads out of the archive"),
        "windows": (zipped(("C:\\x", b"x")), "leads out of the archive"),
        "twice": (pack({"a.txt": b"1"})[: -22 - 51] + pack({"a.txt": b"2"}), "twice|no such archive"),
        "behind": (good + b"more", "behind its end"),
        "before": (b"#!/bin/sh\n" + good, "no ZIP archive"),
        "cut": (good[:-10], "cut"),
        "cut early": (good[:12], "cut"),
        "empty": (b"", "is empty"),
        "text": (b"hello", "no ZIP archive"),
        "lying size": (struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 33, zlib.crc32(b""), 2**31, 2**31, 1, 0) + b"a", "cut"),
        "control characters": (zipped(("a\x1bb", b"x")), "none that this product writes"),
        "many": (zipped(*((f"f{n:03}", b"") for n in range(101))), "more than 100 files"),
        "cut list": (pack({f"f{n:03}": b"" for n in range(100)})[:-22], "cut"),
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_a_hostile_archive_is_refused_in_a_sentence(name, tmp_path):
    archive, sentence = hostile()[name]
    (tmp_path / "b.zip").write_bytes(archive)
    with pytest.raises(BundleUnreadableError, match=sentence):
        read_archive(tmp_path / "b.zip")


def test_a_tampered_log_is_never_vouched_for(lab, release, key, tmp_path):
    from sqlalchemy import create_engine, text

    engine = create_engine(lab.store.url)
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER audit_entries_no_update"))
        connection.execute(text("UPDATE audit_entries SET reason = 'another' WHERE seq = 3"))
    engine.dispose()
    with pytest.raises(AuditBrokenError, match="no bundle is made: the audit log does not fit: entry 3 changed"):
        bundle(lab, release, key)


def test_who_may_not_see_a_release_gets_no_bundle_of_it(lab, release, key):
    stranger = Actor("eve", "api", Principal("eve", (Grant(Role.DIRECTOR, "gemini"),)))
    with pytest.raises(NotFoundError):
        release_bundle.make_bundle(lab, release.id, key, [], actor=stranger)


def test_the_program_checks_a_bundle_without_a_home_and_exits_by_what_is_wrong(lab, release, key, tmp_path):
    archive = bundle(lab, release, key)
    files = unpack(archive)
    cut = b"".join(files[CHAIN].splitlines(keepends=True)[:-1])
    cases = {
        "good.zip": (archive, 0),
        "cut.zip": (archive[:-5], 65),
        "changed.zip": (pack(files | {"notes.md": b"all was well\n"}), 74),
        "chain.zip": (resigned(files, key, CHAIN, cut), 76),
        "foreign.zip": (bundle(lab, release, read_or_make_key(tmp_path / "foreign")), 77),
    }
    for name, (content, code) in cases.items():
        (tmp_path / name).write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-m", "productops.cli.main", "bundle", "verify", str(tmp_path / name), "--key", key.public],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path / "nowhere"), "PRODUCTOPS_HOME": str(tmp_path / "nothing")},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, (name, done)
        assert "Traceback" not in done.stderr
        assert ("all fits" in done.stdout) == (code == 0)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(("kind", "digest"), [("folder", "dirHash"), ("wheel", "sha256"), ("image", "sha256"), ("git", "gitCommit")])
def test_the_digest_of_a_version_is_known_where_it_can_be(tmp_path, kind, digest):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "a.txt").write_text("a")
    (tmp_path / "v1.whl").write_bytes(b"wheel")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "v1"], ["commit", "-q", "-m", "one"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True, timeout=20)
    versions = {
        "folder": {"kind": "folder", "path": "v{version}"},
        "wheel": {"kind": "wheel", "path": "v{version}.whl"},
        "image": {"kind": "image", "image": "shop@sha256:" + "ab" * 32},
        "git": {"kind": "git", "repository": ".", "ref": "v{version}"},
    }
    spec = ServiceSpec.model_validate({"run": {"command": ["x"], "versions": versions[kind]}})
    service = Service(name="shop", venture="apollo", spec=spec, base=str(tmp_path), revision=1)
    found = artifact_digest(service, "1")
    assert (found is not None, digest in (found or {})) == (True, True)
    if kind in {"folder", "wheel", "git"}:
        assert artifact_digest(service, "2") is None


def test_the_release_id_is_one_that_exists(lab, key):
    with pytest.raises(ProductOpsError):
        release_bundle.make_bundle(lab, str(new_id()), key, [], actor=SOMEBODY)
