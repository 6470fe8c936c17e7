"""Write a quality policy, or forget it, with its audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from productops.domain.catalog_quality import QualityPolicy
from productops.store import Unit
from productops.store.quality_policies import POLICY
from productops.usecases.context import Actor


def document(entry: QualityPolicy) -> dict[str, Any]:
    """What is compared, proposed and kept of a policy."""
    return {"venture": entry.metadata.venture, "spec": entry.spec.model_dump(mode="json")}


def policy_of(name: str, kept: Mapping[str, Any]) -> QualityPolicy:
    """What ``document`` wrote."""
    return QualityPolicy.model_validate(
        {
            "apiVersion": "productops/v1", "kind": POLICY, "metadata": {"name": name, "venture": kept["venture"]}, "spec": kept["spec"],
        }
    )  # fmt: skip


def store_policy(
    unit: Unit, entry: QualityPolicy, *, base: str, before: Mapping[str, Any] | None, actor: Actor, now: datetime
) -> str:  # fmt: skip
    """Returns 'created', 'changed' or 'unchanged'."""
    outcome = unit.quality_policies.put(entry, base=base, author=actor.name, now=now)
    if outcome != "unchanged":
        unit.audit.add(
            f"catalog.{outcome}", f"{POLICY}/{entry.metadata.name}", actor=actor.name, origin=actor.origin, now=now, before=before,
            after=document(entry),
        )  # fmt: skip
    return outcome


def remove_policy(unit: Unit, name: str, *, before: Mapping[str, Any] | None, actor: Actor, now: datetime) -> None:
    """Its revisions and the runs judged by it stay."""
    unit.quality_policies.remove(name)
    unit.audit.add("catalog.removed", f"{POLICY}/{name}", actor=actor.name, origin=actor.origin, now=now, before=before)


def apply_proposed(unit: Unit, content: Mapping[str, Any], *, actor: Actor, now: datetime) -> None:
    """A proposal that is signed by now."""
    name, after = content["name"], content["after"]
    if after is None:
        remove_policy(unit, name, before=content["before"], actor=actor, now=now)
    else:
        store_policy(unit, policy_of(name, after), base=content["base"], before=content["before"], actor=actor, now=now)
