"""What the door of the API saw: counted there, named here, and kept by minute."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from productops.domain.governance_access_tokens import StoredToken
from productops.domain.governance_security import Seen, Sighting
from productops.store import Unit
from productops.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Knock:
    """Something at the door. ``token_id`` and ``token_hash``: what was presented, where it looks like a token of ours."""

    minute_s: int
    kind: Seen
    address: str
    subject: str = ""
    token_id: str = ""
    token_hash: str = ""


def keep_sightings(context: Context, knocks: Mapping[Knock, int]) -> int:
    """Write down what was counted; of what was refused it is found out why. Returns how many rows. Raises: StoreUnavailableError."""
    if not knocks:
        return 0
    now = context.clock.now()
    with context.store.read() as unit:
        named = [_named(unit, knock, times, now=now) for knock, times in knocks.items()]
    summed: dict[tuple[int, Seen, str, str], Sighting] = {}
    for each in named:
        key = (each.minute_s, each.kind, each.subject, each.address)
        known = summed.get(key)
        times = each.times + (known.times if known else 0)
        summed[key] = Sighting(each.minute_s, each.kind, each.subject, each.address, times, each.principal)
    with context.store.write() as unit:
        unit.security.add_sightings(summed.values())
    return len(summed)


def _named(unit: Unit, knock: Knock, times: int, *, now: datetime) -> Sighting:
    """With the owner of the token, and for a failure its reason."""
    if not knock.token_id:
        return Sighting(knock.minute_s, knock.kind, knock.subject, knock.address, times, knock.subject)
    stored = unit.tokens.find(knock.token_id)
    kind = knock.kind
    if kind is Seen.UNKNOWN and stored is not None:
        kind = _why(stored, knock, now=now)
    owner = stored.owner.name if stored is not None else ""
    subject = knock.token_id if stored is not None else ""
    return Sighting(knock.minute_s, kind, subject, knock.address, times, owner)


def _why(stored: StoredToken, knock: Knock, *, now: datetime) -> Seen:
    """Why a token of ours was not let in."""
    newest = hmac.compare_digest(knock.token_hash, stored.hash)
    earlier = hmac.compare_digest(knock.token_hash, stored.previous_hash or "")
    if not newest and not earlier:
        return Seen.WRONG
    state = stored.token.state(now)
    if state != "live":
        return Seen.REVOKED if state == "revoked" else Seen.EXPIRED
    return Seen.DISABLED if stored.owner.disabled else Seen.EXPIRED  # a secret from before a rotation, whose time is over
