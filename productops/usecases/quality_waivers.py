"""Bear an objection for a time, take that back, and sign an item of a checklist. The newest run is judged again at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from productops.domain.catalog import Service
from productops.domain.catalog_quality import SignOffGate
from productops.domain.governance_access import Operation, Scope
from productops.domain.quality_gates_performance import name_of
from productops.domain.quality_runs import ANY, REASON_CHARACTERS_MIN, WAIVER_MAX, QualityRun, SignOff, Waiver
from productops.errors import ConflictError, ForbiddenError, InvalidInputError
from productops.store import Unit
from productops.store.identity import new_id
from productops.usecases.context import Actor, Context
from productops.usecases.governance_access_scope import demand, service_for
from productops.usecases.quality_collect import policy_for
from productops.usecases.quality_read import judge_again
from productops.usecases.quality_validate import refused_series


@dataclass(frozen=True, slots=True)
class WaiverWish:
    """What is to be borne: the ``key`` of a gate's item. ``gate`` may be ``*``."""

    service: str
    key: str
    owner: str
    reason: str
    expires_at: datetime
    gate: str = ANY


@dataclass(frozen=True, slots=True)
class SignWish:
    """What is vouched for. An empty ``commit``: any of the version."""

    service: str
    version: str
    gate: str
    item: str
    commit: str = ""
    note: str = ""


def add_waiver(context: Context, wish: WaiverWish, *, actor: Actor) -> Waiver:
    """Raises: NotFoundError, ForbiddenError, InvalidInputError for a key of ``*``, no owner, no reason, or no end within a year."""
    with context.store.write() as unit:
        service = service_for(unit, wish.service, actor, Operation.QUALITY_WAIVE, seen_by=Operation.QUALITY_READ)
        now = context.clock.now()
        _check(unit, wish, service, now=now)
        waiver = Waiver(
            str(new_id()), service.venture, service.name, wish.gate, wish.key.strip(), wish.owner.strip(), wish.reason.strip(), actor.name,
            now, wish.expires_at,
        )  # fmt: skip
        unit.quality_waivers.add(waiver)
        detail = {
            "venture": waiver.venture, "service": waiver.service, "gate": waiver.gate, "key": waiver.key, "owner": waiver.owner,
            "expires_at": waiver.expires_at.isoformat(),
        }  # fmt: skip
        unit.audit.add(
            "quality.waived", f"quality-waiver/{waiver.id}", actor=actor.name, origin=actor.origin, now=now, reason=waiver.reason,
            detail=detail, after="holds",
        )  # fmt: skip
        renew_newest(unit, service, actor=actor, now=now, because=f"waiver {waiver.id} was given")
    return waiver


def _check(unit: Unit, wish: WaiverWish, service: Service, *, now: datetime) -> None:
    key = wish.key.strip()
    if not key or key == ANY or len(key) > 255:
        raise InvalidInputError("a waiver is for one objection: give the key of the item as the gate's result shows it, not '*'")
    if not wish.owner.strip() or len(wish.owner) > 255:
        raise InvalidInputError("a waiver needs an owner: who bears the risk, in at most 255 characters")
    if len(wish.reason.strip()) < REASON_CHARACTERS_MIN:
        raise InvalidInputError(f"a waiver needs a reason of at least {REASON_CHARACTERS_MIN} characters: why is this to be borne?")
    if not now < wish.expires_at <= now + WAIVER_MAX:
        raise InvalidInputError(f"a waiver ends after now and within {WAIVER_MAX.days} days, not at {wish.expires_at:%Y-%m-%d %H:%M}")
    gates = [gate.name for gate in policy_for(unit, service).policy.spec.gates]
    if wish.gate not in {ANY, *gates}:
        raise InvalidInputError(f"the policy of {service.name} has no gate {wish.gate[:63]!r}; it has {', '.join(gates)}, or '*' for all")


def end_waiver(context: Context, waiver_id: str, *, reason: str = "", actor: Actor) -> Waiver:
    """What it bore counts again at once. Raises: NotFoundError, ForbiddenError, ConflictError when it has ended already."""
    with context.store.write() as unit:
        waiver, now = unit.quality_waivers.get(waiver_id), context.clock.now()
        missing = f"there is no quality waiver {waiver_id[:80]!r}; list them with: productops quality waivers"
        demand(actor, Operation.QUALITY_WAIVE, seen_by=Operation.QUALITY_READ, venture=waiver.venture, missing=missing)
        if not unit.quality_waivers.end(waiver.id, by=actor.name, now=now):
            raise ConflictError(f"waiver {waiver.id} has ended already")
        unit.audit.add(
            "quality.waiver_ended", f"quality-waiver/{waiver.id}", actor=actor.name, origin=actor.origin, now=now, reason=reason,
            detail={"venture": waiver.venture, "service": waiver.service, "gate": waiver.gate, "key": waiver.key},
            before="holds" if waiver.holds(now) else "expired", after="ended",
        )  # fmt: skip
        service = unit.catalog.find_service(waiver.service)
        if service is not None:
            renew_newest(unit, service, actor=actor, now=now, because=f"waiver {waiver.id} was taken back")
        return unit.quality_waivers.get(waiver.id)


def sign_off(context: Context, wish: SignWish, *, actor: Actor) -> SignOff:
    """Vouch for one item for one version, with the roles the signer holds in the venture.

    Raises: NotFoundError, ForbiddenError without the item's role, InvalidInputError for a gate or item the policy has not,
        ConflictError when the same person signed it already.
    """
    with context.store.write() as unit:
        service = service_for(unit, wish.service, actor, Operation.QUALITY_SIGN_OFF, seen_by=Operation.QUALITY_READ)
        roles = _roles(unit, wish, service, actor)
        if not wish.version.strip() or len(wish.version) > 128 or len(wish.commit) > 64:
            raise InvalidInputError("say which version is signed, in at most 128 characters")
        now = context.clock.now()
        signed = SignOff(
            str(new_id()), service.venture, service.name, wish.version, wish.commit, wish.gate, wish.item, actor.name, roles,
            wish.note[:2000], now,
        )  # fmt: skip
        unit.quality_waivers.sign(signed)
        unit.audit.add(
            "quality.signed_off", f"service/{service.name}", actor=actor.name, origin=actor.origin, now=now, reason=wish.note[:2000],
            detail={
                "venture": service.venture, "version": wish.version, "commit": wish.commit, "gate": wish.gate, "item": wish.item,
                "roles": sorted(roles),
            },
        )  # fmt: skip
        renew_newest(unit, service, version=wish.version, actor=actor, now=now, because=f"{wish.item!r} was signed by {actor.name}")
    return signed


def _roles(unit: Unit, wish: SignWish, service: Service, actor: Actor) -> frozenset[str]:
    gates = {gate.name: gate for gate in policy_for(unit, service).policy.spec.gates if isinstance(gate, SignOffGate)}
    gate = gates.get(wish.gate)
    if gate is None:
        raise InvalidInputError(
            f"the policy of {service.name} has no sign-off gate {wish.gate[:63]!r}; it has {', '.join(gates) or 'none'}"
        )
    item = next((each for each in gate.items if each.item == wish.item), None)
    if item is None:
        listed = "; ".join(repr(each.item) for each in gate.items)
        raise InvalidInputError(f"the gate {gate.name} has no item {wish.item[:80]!r}; its items are {listed}")
    roles = actor.principal.roles(Scope(service.venture))
    if item.role not in roles:
        raise ForbiddenError(
            f"{item.item!r} is signed by somebody with the role {item.role} in venture {service.venture}; {actor.name} holds "
            f"{', '.join(sorted(roles)) or 'none there'}"
        )
    return frozenset(role.value for role in roles)


def renew_newest(
    unit: Unit, service: Service, *, actor: Actor, now: datetime, because: str, version: str | None = None
) -> QualityRun | None:
    """Judge the newest run of a service (or version) again by the present policy; None when nothing changed."""
    runs = unit.quality_runs
    run = runs.newest_of_version(service.name, version) if version is not None else runs.newest(service.name)
    if run is None:
        return None
    policy = policy_for(unit, service)
    verdict = judge_again(unit, run, policy, now=now)
    if verdict == run.verdict:
        return None
    renewed = replace(run, verdict=verdict, policy=policy.name, policy_revision=policy.revision)
    if not runs.judged_again(renewed, run.state):
        raise ConflictError(f"quality run {run.id} was judged again by somebody else at this very moment; repeat it")
    names = {name_of(series) for series in runs.evidence(run.id)[0].series}
    unit.quality_series.accept(run.id, names - refused_series(verdict))
    unit.audit.add(
        "quality.judged_again", f"quality-run/{run.id}", actor=actor.name, origin=actor.origin, now=now, reason=because,
        detail={"venture": run.venture, "service": run.service, "version": run.version}, before=run.state.value, after=verdict.state.value,
    )  # fmt: skip
    return renewed
