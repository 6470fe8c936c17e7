"""The steps of anchoring the audit log as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from blocks.installation import context, settings
from productops.usecases import governance_audit
from productops.usecases.governance_audit import Anchored
from tasks.artifacts import publish
from tasks.release import actor, retrying

KEY = "audit-anchor"


@task(**retrying("anchor", "anchor the audit log"))
async def anchor() -> Anchored:
    """Check what is new and sign it into the folder of anchors. Raises: AuditBrokenError."""
    from productops.adapters.audit_anchors import AnchorFolder, read_or_make_key

    found = settings()
    key = read_or_make_key(found.anchor_key)
    return await asyncio.to_thread(governance_audit.write_anchor, context(), key, AnchorFolder(found.anchor_folder), actor=actor())


@task(**retrying("show anchor", "show the anchor"))
async def show_anchor(anchored: Anchored) -> None:
    """A second copy in Prefect's database; nothing when nothing was new."""
    if anchored.place:
        row = {name: str(value) for name, value in anchored.anchor.document().items()}
        await publish(acreate_table_artifact(table=[row], key=KEY, description=f"{anchored.checked} new entries fit"))


@task(**retrying("show break", "show what does not fit"))
async def show_break(sentence: str) -> None:
    """What a person sees in the Prefect UI."""
    text = f"## The audit log was tampered with\n\n{sentence}\n\n`productops audit verify` looks at all of it."
    await publish(acreate_markdown_artifact(markdown=text, key=KEY, description="the audit log does not fit"))
