"""The evidence of one release as files: which there are, and what is signed of them. Pure.

Statements are in-toto's (v1) in DSSE envelopes. Everything but times of signing follows from what is stored, so that the same release
gives the same bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FORMAT = "productops evidence bundle 1"
MANIFEST, SIGNED_MANIFEST = "manifest.json", "manifest.dsse.json"
RELEASE, CHAIN, ANCHORS = "release.json", "audit/chain.ndjson", "audit/anchors.ndjson"
ATTESTATIONS = "attestations/"
STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE_PREDICATE = "urn:productops:evidence-bundle:v1"
DECISION_PREDICATE = "urn:productops:release-decision:v1"
DEPLOYMENT_PREDICATE = "urn:productops:deployment-provenance:v1"
SUMMARY_PREDICATE = "https://slsa.dev/verification_summary/v1"
Sign = Callable[[bytes], bytes]


class DsseProblem(ValueError):  # noqa: N818 - what is wrong with an envelope, for the caller to wrap
    """What is wrong with an envelope, in words that go on from its name."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope with one signature. ``key``: public key, hexadecimal, which is the keyid, too."""

    payload: bytes
    key: str
    signature: bytes

    @property
    def statement(self) -> dict[str, Any]:
        """The payload. Raises: DsseProblem when it is no statement of in-toto v1."""
        try:
            found = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise DsseProblem("holds a payload that is no JSON") from error
        if not isinstance(found, dict) or found.get("_type") != STATEMENT or not isinstance(found.get("subject"), list):
            raise DsseProblem("holds no in-toto statement of version 1")
        return found

    def text(self) -> bytes:
        """As it is written: one way only."""
        signature = {"keyid": self.key, "sig": base64.b64encode(self.signature).decode()}
        document = {"payload": base64.b64encode(self.payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
        return pretty(document)


def pre_authentication(payload: bytes) -> bytes:
    """What is signed. Source: DSSE v1.0, protocol, PAE."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def seal(statement: Mapping[str, Any], *, key: str, sign: Sign) -> bytes:
    """The statement in an envelope, signed."""
    payload = canonical_json(statement)
    return Envelope(payload, key, sign(pre_authentication(payload))).text()


def open_envelope(text: bytes) -> Envelope:
    """Read an envelope that ``seal`` wrote. Raises: DsseProblem for anything else."""
    try:
        found = json.loads(text)
        (signature,) = found["signatures"]
        envelope = Envelope(
            base64.b64decode(found["payload"], validate=True), str(signature["keyid"]), base64.b64decode(signature["sig"], validate=True)
        )
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        raise DsseProblem("is no DSSE envelope with one signature") from error
    if envelope.text() != text:
        raise DsseProblem("is not written as this product writes it")
    return envelope


def statement(predicate_type: str, predicate: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An in-toto statement. Source: in-toto attestation framework, Statement v1."""
    return {"_type": STATEMENT, "subject": list(subjects), "predicateType": predicate_type, "predicate": dict(predicate)}


def subject_of(name: str, content: bytes) -> dict[str, Any]:
    """A subject of a statement: a file by its digest."""
    return {"name": name, "digest": {"sha256": sha256(content)}}


def manifest(release: Mapping[str, Any], files: Mapping[str, bytes], absent: Mapping[str, str]) -> bytes:
    """What is in the bundle, with digests, and what one could look for and why it is not there."""
    listed = [{"name": name, "sha256": sha256(content), "bytes": len(content)} for name, content in sorted(files.items())]
    missing = [{"what": what, "why": why} for what, why in sorted(absent.items())]
    return pretty({"format": FORMAT, "release": dict(release), "files": listed, "absent": missing})


def sha256(content: bytes) -> str:
    """Hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def pretty(value: Any) -> bytes:
    """Sorted keys, two spaces, ASCII, a line end: for people and still one way only."""
    return json.dumps(value, sort_keys=True, indent=2, default=str).encode() + b"\n"


def lines(values: Iterable[Any]) -> bytes:
    """One JSON value a line."""
    return b"".join(canonical_json(value) + b"\n" for value in values)
