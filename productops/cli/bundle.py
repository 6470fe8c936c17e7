"""The evidence of a release: get it, and check it anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

VERIFY = "verify"


def bundle(
    what: Annotated[str, typer.Argument(metavar="RELEASE|verify", help="Id of a release, or the word verify.")],
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="With verify: the bundle.")] = None,
    *,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; default: release-<id>.zip here.")] = None,
    keys: Annotated[
        list[str] | None, typer.Option("--key", help="With verify: public key to trust, or a file of it; default: this installation's.")
    ] = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Get the evidence of a release as one signed archive, or check one: no store and no network are needed for that.

    Exit codes of verify: 0 all fits; 65 it is no bundle, or a hostile one; 74 something was changed; 76 the audit chain does not fit;
    77 it is not signed by a key that is trusted.
    """
    from productops.errors import InvalidInputError

    if what != VERIFY:
        if file is not None:
            raise InvalidInputError(f"to check a bundle: productops bundle verify {file}; to write one to a file: --out {file}")
        _get(what, out, as_json=as_json, api_url=api_url, home=home)
        return
    if file is None:
        raise InvalidInputError("name the bundle: productops bundle verify FILE")
    _verify(file, keys or [], as_json=as_json, home=home)


def _get(release_id: str, out: Path | None, *, as_json: bool, api_url: str | None, home: Path | None) -> None:
    from productops.errors import InvalidInputError

    with api(home, api_url, as_json=as_json) as client:
        archive = client.get_raw(f"/api/v1/product-ops/releases/{release_id}/bundle")
    target = out or Path(f"release-{release_id}.zip")
    try:
        fresh = target.with_name(f".{target.name}.new")
        fresh.write_bytes(archive)
        fresh.replace(target)
    except OSError as error:
        raise InvalidInputError(f"the bundle cannot be written to {target}: {error.strerror}") from error
    if as_json:
        print(json.dumps({"release_id": release_id, "file": str(target), "bytes": len(archive)}))
        return
    print(f"written to {target} ({len(archive):,} bytes); check it with: productops bundle verify {target}")


def _verify(file: Path, given: list[str], *, as_json: bool, home: Path | None) -> None:
    from productops.adapters.audit_anchors import is_signed, is_signed_bytes, trusted_keys
    from productops.adapters.release_bundle import read_archive
    from productops.cli.installation import settings_of
    from productops.cli.release_text import plain
    from productops.domain.release_bundle_check import check_bundle

    keys = trusted_keys(given, settings_of(home).anchor_key)
    proof = check_bundle(read_archive(file), keys, is_signed=is_signed_bytes, is_anchor=is_signed)
    if as_json:
        print(
            json.dumps(
                {
                    "fits": True, "release": proof.release, "files": proof.files, "statements": proof.statements,
                    "audit_entries": proof.entries, "audit_links": proof.links, "anchors": proof.anchors, "key": proof.key,
                    "key_trusted": bool(keys), "signed_at": proof.signed_at, "absent": list(proof.absent),
                }
            )
        )  # fmt: skip
        return
    print(f"all fits: release {proof.release.get('id')}, {plain(proof.release.get('title'))}, {plain(proof.release.get('phase'))}")
    print(f"{proof.files} files, {proof.statements} statements, signed {plain(proof.signed_at)}")
    print(f"{proof.entries} audit entries about it; {proof.links} links lead from them to {proof.anchors} signed anchors")
    print(f"key {proof.key}" + ("" if keys else "\nnote: this key is only what the bundle names; compare it, or give it with --key"))
    for line in proof.absent:
        print(f"absent: {plain(line)}")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("bundle")(bundle)
