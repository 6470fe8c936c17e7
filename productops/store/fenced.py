"""A store in which a deposed agent can write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from productops.domain.traffic import AgentTerm
from productops.store.unit import Store, Unit


class FencedStore(Store):
    """Every transaction that may write begins with the proof that ``term`` still holds.

    ``write`` raises AgentDeposedError when it does not, and nothing is written then. Reading needs no proof.
    """

    def __init__(self, url: str, term: AgentTerm) -> None:
        super().__init__(url)
        self._term = term

    @contextmanager
    def write(self) -> Iterator[Unit]:
        """One transaction of the agent that has the term."""
        with super().write() as unit:
            unit.agents.check(self._term)
            yield unit
