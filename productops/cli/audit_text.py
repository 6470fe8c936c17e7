"""Tables and sentences of the audit log for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from productops.cli.release_text import plain
from productops.cli.stack.tables import render
from productops.domain.governance_audit_proof import AuditProof


def entries_table(items: Sequence[Mapping[str, Any]]) -> str:
    """One line for each entry."""
    if not items:
        return "no entries"
    rows = [
        (
            str(item["seq"]), str(item["at"])[:19].replace("T", " "), plain(item["actor"]), item["origin"], item["action"],
            plain(item["subject"]), plain(item["reason"]),
        )
        for item in items
    ]  # fmt: skip
    return render(("seq", "when (UTC)", "actor", "through", "action", "subject", "reason"), rows, right=("seq",))


def entry_page(item: Mapping[str, Any]) -> str:
    """Everything about one entry."""
    detail = {name: value for name, value in item["detail"].items() if name not in {"before", "after"}}
    lines = [
        f"entry {item['seq']}: {item['action']} of {plain(item['subject'])}",
        f"{item['at']}, {plain(item['actor'])} through {item['origin']}",
        *([f"because: {plain(item['reason'])}"] if item["reason"] else []),
        *(
            f"{name}: {plain(json.dumps(item['detail'][name], ensure_ascii=False))}"
            for name in ("before", "after")
            if name in item["detail"]
        ),
        *([f"detail: {plain(json.dumps(detail, ensure_ascii=False))}"] if detail else []),
        *([f"erased: {', '.join(item['erased'])}"] if item["erased"] else []),
        f"continues {item['previous_hash']}",
        f"hash      {item['hash']}",
    ]
    return "\n".join(lines)


def proof_document(proof: AuditProof) -> dict[str, Any]:
    """A proof for programs."""
    return {"fits": proof.fits, **asdict(proof)}


def proof_text(proof: AuditProof) -> str:
    """A proof for people: the first broken link, or what is proven and what is not."""
    lines = [f"note: {note}" for note in proof.notes]
    if proof.broken is not None:
        lines.append(f"BROKEN: entry {proof.broken.seq} {proof.broken.kind}: {proof.broken.detail}")
        lines.append(f"{proof.entries} entries before it fit")
        return "\n".join(lines)
    erased = f"; {proof.erased} of them have erased parts" if proof.erased else ""
    lines.append(f"{proof.entries} entries fit{erased}")
    lines.append(f"entry {proof.last_seq} has hash {proof.last_hash}")
    if proof.anchors:
        lines.append(f"{proof.anchors} anchors agree; entries up to {proof.proven_until} cannot have been written anew")
    else:
        lines.append("no anchors: a log that was written anew as a whole, or cut at its end, would look the same")
    return "\n".join(lines)
