"""The steps of checking the controls as Prefect tasks."""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.artifacts import acreate_table_artifact

from blocks.installation import context, settings
from productops.domain.governance_compliance import ComplianceCheck
from productops.usecases import governance_compliance
from productops.usecases.governance_compliance import Remedies
from tasks.artifacts import publish
from tasks.release import actor, retrying

KEY = "compliance"


@task(**retrying("check", "check the controls"))
async def check(control: str) -> ComplianceCheck:
    """Look at all controls, or at the named one. Raises: NotFoundError."""
    from productops.adapters.audit_anchors import AnchorFolder, read_or_make_key

    found = settings()
    remedies = Remedies(read_or_make_key(found.anchor_key), AnchorFolder(found.anchor_folder))
    return await asyncio.to_thread(governance_compliance.check_controls, context(), actor=actor(), remedies=remedies, only=control or None)


@task(**retrying("show", "show the controls"))
async def show(checked: ComplianceCheck) -> None:
    """A table for the Prefect UI."""
    rows = [result.to_dict() | {"remedied": "; ".join(result.remedied)} for result in checked.results]
    said = f"{checked.total('opened')} new, {checked.total('still')} still there, {checked.total('resolved')} resolved"
    await publish(acreate_table_artifact(table=rows, key=KEY, description=said))
