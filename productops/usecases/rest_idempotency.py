"""Claim an idempotency key, keep its answer, give it back. Technical records: nothing of them belongs into the audit."""

from __future__ import annotations

from dataclasses import dataclass

from productops.domain.rest_idempotency import StoredAnswer
from productops.errors import IdempotencyError
from productops.store.identity import new_id
from productops.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Claim:
    """What a key stands for now: ``claim`` is set where the request is ours to carry out, ``answer`` where it was answered.

    Neither: another request with this key is under way.
    """

    claim: str | None = None
    answer: StoredAnswer | None = None


def claim_key(context: Context, key_hash: str, fingerprint: str) -> Claim:
    """Take a key, or learn what became of it.

    Raises: IdempotencyError when the key was used with a different request, StoreUnavailableError.
    """
    claim = str(new_id())
    with context.store.write() as unit:
        now = context.clock.now()
        known = unit.answers.find(key_hash)
        if known is None:
            return Claim(claim if unit.answers.claim(key_hash, fingerprint, claim, now=now) else None)
        if known.is_over(now=now):
            return Claim(claim if unit.answers.take_over(key_hash, known, fingerprint, claim, now=now) else None)
    if known.fingerprint != fingerprint:
        raise IdempotencyError("this Idempotency-Key was used with a different request; use a new key")
    return Claim(answer=known.answer)


def keep_answer(context: Context, key_hash: str, claim: str, answer: StoredAnswer) -> None:
    """Keep what was answered, for a day. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        unit.answers.answer(key_hash, claim, answer, now=context.clock.now())


def give_key_back(context: Context, key_hash: str, claim: str) -> None:
    """Free the key of a request that changed nothing. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        unit.answers.release(key_hash, claim)


def forget_answers(context: Context) -> int:
    """Drop keys whose day is over; returns how many. Raises: StoreUnavailableError."""
    with context.store.write() as unit:
        return unit.answers.forget(now=context.clock.now())
