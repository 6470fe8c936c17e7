"""A gate's result while it is made: objections, shortages, figures; and how they become a state and a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field

from productops.domain.catalog_quality import Gate
from productops.domain.quality_gates_collected import Collected
from productops.domain.quality_verdict import ITEMS_MAX, GateItem, GateKind, GateResult, GateState


@dataclass(slots=True)
class Draft:
    """``fail``, ``lack`` and ``break_off`` collect reasons; ``result`` weighs them: failed before error before inconclusive."""

    gate: Gate
    collected: Collected
    items: list[GateItem] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    to_pass: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def object(self, key: str, text: str, *, where: str = "", link: str = "", excused: str = "") -> bool:
        """Keep an item; True when it counts: no waiver that holds and nothing else excuses it."""
        excuse = excused or self.collected.waived(self.gate.name, key)
        lapsed = "" if excuse else self.collected.lapsed(self.gate.name, key)
        told = f"{text} ({lapsed})" if lapsed else text
        self.items.append(GateItem(key, told[:500], where=where, link=link, excused=excuse))
        return not excuse

    def fail(self, reason: str, to_pass: str = "") -> None:
        """It does not hold."""
        self.failed.append(reason)
        self._advise(to_pass)

    def lack(self, reason: str, to_pass: str = "") -> None:
        """Too little was seen."""
        self.lacking.append(reason)
        self._advise(to_pass)

    def break_off(self, reason: str, to_pass: str = "") -> None:
        """It could not be judged."""
        self.errors.append(reason)
        self._advise(to_pass)

    def limit(self, key: str, reason: str, to_pass: str = "", *, where: str = "") -> None:
        """A limit is passed; a waiver may name its key."""
        if self.object(key, reason, where=where):
            self.fail(reason, to_pass)

    def _advise(self, to_pass: str) -> None:
        if to_pass and to_pass not in self.to_pass:
            self.to_pass.append(to_pass)

    @property
    def state(self) -> GateState:
        """As it stands."""
        if self.failed:
            return GateState.FAILED
        if self.errors:
            return GateState.ERROR
        return GateState.INCONCLUSIVE if self.lacking else GateState.PASSED

    def result(self, passed: str) -> GateResult:
        """``passed`` is the sentence when nothing speaks against it."""
        state = self.state
        against = [*self.failed, *self.errors, *self.lacking]
        excused = [item for item in self.items if item.excused]
        if excused:
            self.notes.append(f"{len(excused)} excused, e.g. {excused[0].text[:120]}: {excused[0].excused}"[:400])
        ordered = [item for item in self.items if not item.excused] + excused
        sentence = _sentence(against[0]) if against else _sentence(passed)
        advice = " ".join(_sentence(each) for each in [*self.to_pass, *([self.gate.to_pass] if self.gate.to_pass else [])])
        return GateResult(
            gate=self.gate.name, kind=GateKind(self.gate.kind), required=self.gate.required, state=state, sentence=sentence,
            reasons=(*against, *self.notes), items=tuple(ordered[:ITEMS_MAX]), items_total=len(self.items),
            to_pass="" if state is GateState.PASSED else advice, figures=dict(self.figures), links=tuple(self.gate.links),
        )  # fmt: skip


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
