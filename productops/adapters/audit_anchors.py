"""The key of this installation, and the files that anchors of the audit log are appended to."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from productops.domain.governance_audit import Anchor, parse_anchor
from productops.errors import DependencyError, InvalidInputError, SettingsError

KEY = "audit-key"
PATTERN = "anchors-*.jsonl"
_BYTES = 32


class AnchorKey:
    """An Ed25519 key. ``public`` is hexadecimal; who verifies should have it from elsewhere than the log."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw().hex()

    def sign(self, anchor: Anchor) -> Anchor:
        """The anchor with this key and its signature."""
        return replace(anchor, key=self.public, signature=self._private.sign(anchor.message).hex())

    def sign_bytes(self, message: bytes) -> bytes:
        """A signature of something else than an anchor; its kind is to be the first thing that the message says."""
        return self._private.sign(message)


def is_signed(anchor: Anchor) -> bool:
    """Whether the signature is by the key that the anchor names."""
    try:
        signature = bytes.fromhex(anchor.signature)
    except ValueError:
        return False
    return is_signed_bytes(anchor.key, signature, anchor.message)


def is_signed_bytes(key: str, signature: bytes, message: bytes) -> bool:
    """Whether a signature of a message is by a public key, which is hexadecimal."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_or_make_key(path: Path) -> AnchorKey:
    """The key in the file, 64 hexadecimal characters; made when there is none, with the public one beside it (``.pub``).

    Programs that start at once agree on one key: the file is linked into place whole. Raises: SettingsError.
    """
    path = path.expanduser()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create(path)
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(file.read(4096).strip()))
    except OSError as error:
        raise SettingsError(f"the audit key {path} cannot be read or made: {error.strerror}; set PRODUCTOPS_AUDIT_KEY") from error
    except ValueError as error:
        raise SettingsError(
            f"the audit key {path} is no key of {_BYTES * 2} hexadecimal characters; restore it, do not replace it"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"the audit key {path} can be read by others; run: chmod 600 {path}")
    return AnchorKey(private)


def _create(path: Path) -> None:
    private = secrets.token_bytes(_BYTES)
    public = AnchorKey(Ed25519PrivateKey.from_private_bytes(private)).public
    for target, text, mode in ((path, private.hex(), 0o600), (path.with_name(path.name + ".pub"), public, 0o644)):
        temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text + "\n")
            os.link(temporary, target)
        except FileExistsError:
            return  # another program was first, and its key is the one
        finally:
            temporary.unlink()


def trusted_keys(given: list[str], key_path: Path) -> set[str]:
    """Public keys to trust: the given ones (hexadecimal, or files of them), else that beside this installation's key.

    Raises: InvalidInputError for what is neither.
    """
    found: set[str] = set()
    for text in given:
        path = Path(text).expanduser()
        try:
            lines = path.read_text(encoding="ascii").split() if path.is_file() else [text.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the public key {text} cannot be read: {error}") from error
        for line in lines:
            with contextlib.suppress(ValueError):
                if len(bytes.fromhex(line)) == _BYTES:
                    found.add(line.lower())
                    continue
            raise InvalidInputError(f"{text!r} is no public key of {_BYTES * 2} hexadecimal characters, nor a file of one")
    public = key_path.expanduser().with_name(key_path.name + ".pub")
    if not given and public.is_file():
        return trusted_keys([str(public)], key_path)
    return found


class AnchorFolder:
    """A folder with a file of anchors for each month, one JSON object a line, only ever appended to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()

    def append(self, anchor: Anchor) -> str:
        """Write the anchor through to the disk; returns the file. Raises: DependencyError."""
        path = self.folder / PATTERN.replace("*", anchor.at[:7])
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, f"{anchor.line()}\n".encode())  # one write, so that writers at once do not mix
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DependencyError(f"the anchor could not be written to {path}: {error.strerror}; set PRODUCTOPS_AUDIT_ANCHORS") from error
        return str(path)

    def newest(self) -> Anchor | None:
        """The anchor of the highest entry in the newest file. Raises: InvalidInputError for a file that holds something else."""
        files = sorted(self.folder.glob(PATTERN))
        return max(read_anchors(files[-1]), key=lambda anchor: anchor.seq, default=None) if files else None


def read_anchors(path: Path) -> Iterator[Anchor]:
    """Anchors of a file, or of all files in a folder. A last line that a crash cut is left out.

    Raises: InvalidInputError with file and line for anything else that is no anchor.
    """
    path = path.expanduser()
    for file in sorted(path.glob(PATTERN)) if path.is_dir() else [path]:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"the anchors in {file} cannot be read: {error}") from error
        lines = text.splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                yield parse_anchor(json.loads(line)["anchor"])
            except (ValueError, TypeError, KeyError) as error:
                if number == len(lines) and not text.endswith("\n"):
                    return
                raise InvalidInputError(f"{file}, line {number} is no anchor: {error}") from error
