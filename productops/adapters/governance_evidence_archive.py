"""Evidence as a file: a tar.gz of manifest, signature, chain of custody and all items; written, and checked without a store."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, Final

from productops.adapters.audit_anchors import is_signed_bytes
from productops.adapters.safe_archive import Limits, read_archive
from productops.domain.governance_security_evidence import BYTES_MAX, Bundle, Custody, Proof, check, digest
from productops.errors import InvalidInputError
from productops.ports import EvidenceSigner

MANIFEST, SIGNATURE, CUSTODY, ITEMS = "manifest.json", "signature.json", "custody.jsonl", "items/"
KIND: Final = "productops/evidence/v1"
LIMITS: Final = Limits(packed_bytes_max=2 * BYTES_MAX, bytes_max=2 * BYTES_MAX, file_bytes_max=BYTES_MAX, files_max=1000, ratio_max=2000.0)


def write_evidence(bundle: Bundle, contents: Mapping[str, bytes], custody: Collection[Custody], signer: EvidenceSigner) -> bytes:
    """The same bundle with the same chain gives the same bytes."""
    last = max(custody, key=lambda line: line.number).hash
    signed = {"key": signer.public, "custody": last, "signature": signer.sign_bytes(_message(bundle.manifest_hash, last)).hex()}
    files = {
        MANIFEST: bundle.manifest.encode(), SIGNATURE: json.dumps(signed, sort_keys=True).encode(),
        CUSTODY: "".join(f"{json.dumps(line.document(), sort_keys=True)}\n" for line in custody).encode(),
    }  # fmt: skip
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for name, content in [*files.items(), *((f"{ITEMS}{name}", content) for name, content in contents.items())]:
            member = tarfile.TarInfo(f"evidence-{bundle.id}/{name}")
            member.size, member.mtime, member.mode = len(content), int(bundle.taken_at.timestamp()), 0o444
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def check_evidence(content: bytes, keys: Collection[str]) -> Proof:
    """Check an export. ``keys``: public keys that are trusted; none: the one it names, which proves only that nothing was damaged.

    Raises: InvalidInputError for what is no such file.
    """
    files = {each.name.partition("/")[2]: each.content for each in read_archive(content, what="the export", limits=LIMITS)}
    try:
        manifest, signed = files.pop(MANIFEST).decode(), json.loads(files.pop(SIGNATURE))
        custody = [_line(json.loads(line)) for line in files.pop(CUSTODY).decode().splitlines()]
        document = json.loads(manifest)
        bundle_id, listed = str(document["id"]), len(document["items"])
        key, last, signature = str(signed["key"]), str(signed["custody"]), bytes.fromhex(signed["signature"])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(f"this is no export of evidence: {error}; make one with: productops security evidence export ID") from error
    items = {name.removeprefix(ITEMS): data for name, data in files.items() if name.startswith(ITEMS)}
    problems = check(manifest, items, custody, expected=None)
    problems += [f"{name} was added" for name in sorted(files) if not name.startswith(ITEMS)]
    if keys and key not in keys:
        problems.append(f"it is signed by the key {key[:16]}…, which is not trusted")
    if not is_signed_bytes(key, signature, _message(digest(manifest), last)):
        problems.append("the signature does not fit the manifest")
    if not custody or custody[-1].hash != last:
        problems.append("the chain of custody does not end where it was signed")
    return Proof(bundle_id, listed, digest(manifest), bool(keys), tuple(problems))


def _message(manifest_hash: str, custody_hash: str) -> bytes:
    return f"{KIND}\n{manifest_hash}\n{custody_hash}\n".encode()


def _line(found: Any) -> Custody:
    line = Custody(**{each.name: found[each.name] for each in fields(Custody)})
    if type(line.number) is not int or not all(isinstance(getattr(line, each.name), str) for each in fields(Custody)[1:]):
        raise ValueError("a line of the chain has a number and texts")
    return line
