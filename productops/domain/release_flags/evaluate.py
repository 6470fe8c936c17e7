"""Who gets which variant: all flags of one environment, ready to be asked.

In order: a killed flag gives everybody its off variant; the targeting rules (flagd JSON, evaluated by flagd's own core) may name a
variant; a ramp gives its variant to everybody of its segments, then to its share of users; everybody else gets the default variant.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.contrib.tools.flagd.core.targeting.custom_ops import fractional
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError
from openfeature.flag_evaluation import FlagResolutionDetails

from productops.domain.catalog_flags import FlagSpec, Ramp
from productops.domain.catalog_flags_targeting import needs_targeting_key, splits
from productops.domain.release import Environment
from productops.domain.release_flags.flag import Flag, default_variant, targeting_in

# A ramp moves in thousandths of a percent.
PARTS = 100_000
KEY_MISSING = "the flag shares users out by their targetingKey: send a text that names the user"


@dataclass(frozen=True, slots=True)
class Answer:
    """A variant and why: ``decision`` is ``killed``, ``targeting``, ``segment``, ``ramp``, ``default`` or ``static``."""

    key: str
    variant: str
    value: Any
    reason: str
    decision: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """No variant. ``code`` is OpenFeature's: FLAG_NOT_FOUND, TARGETING_KEY_MISSING, PARSE_ERROR or GENERAL."""

    key: str
    code: str
    details: str

    @property
    def body(self) -> bytes:
        """The failure as OFREP writes it."""
        return json.dumps({"key": self.key, "errorCode": self.code, "errorDetails": self.details}).encode()


@dataclass(frozen=True, slots=True)
class _Ready:
    """One flag as it is evaluated: rules that cannot change anything any more are gone."""

    key: str
    venture: str
    revision: int
    spec: FlagSpec
    environment: Environment
    base: str
    killed: bool
    ramp: Ramp | None
    rules: Mapping[str, Any]
    needs_key: bool
    splits: bool
    core: FlagdCore | None
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def answer(self, variant: str, decision: str) -> Answer:
        """The answer, written once."""
        found = self.answers.get((variant, decision))
        if found is None:
            found = self.answers[variant, decision] = _written(self, variant, decision)
        return found


class FlagSet:
    """The flags of one environment at one version. Safe for many threads: nothing changes but what is remembered of answers."""

    def __init__(self, environment: Environment, flags: Iterable[Flag], *, version: int, before: FlagSet | None = None) -> None:
        """``before`` is an earlier set of the same environment; what it made ready and has not changed is taken over."""
        self.environment = environment
        self.version = version
        there = (flag for flag in flags if not flag.state.archived and environment in flag.spec.environments)
        known = before.by_key if before is not None else {}
        self.by_key: dict[str, _Ready] = {flag.key: _kept(known.get(flag.key), flag) or _ready(flag, environment) for flag in there}

    def __len__(self) -> int:
        return len(self.by_key)

    def keys(self, venture: str | None = None) -> list[str]:
        """Keys in order, of all ventures or of one."""
        return sorted(key for key, ready in self.by_key.items() if venture is None or ready.venture == venture)

    def venture_of(self, key: str) -> str | None:
        """Whose flag it is; None when there is none."""
        ready = self.by_key.get(key)
        return ready.venture if ready is not None else None

    def missing(self, key: str) -> Failure:
        """What is said of a flag that does not exist, or not for who asks."""
        return Failure(key, "FLAG_NOT_FOUND", f"there is no flag {key[:80]!r} in {self.environment}")

    def evaluate(self, key: str, context: Mapping[str, Any]) -> Answer | Failure:
        """The variant for one context (attributes by name; ``targetingKey`` names the user)."""
        ready = self.by_key.get(key)
        if ready is None:
            return self.missing(key)
        if ready.killed:
            return ready.answer(ready.base, "killed")
        if ready.core is not None:
            named = _targeted(ready, ready.core, context)
            if named is not None:
                return named
        return _ramped(ready, context)


def _targeted(ready: _Ready, core: FlagdCore, context: Mapping[str, Any]) -> Answer | Failure | None:
    """What the rules say; None when they name nobody."""
    user = context.get("targetingKey")
    attributes = {name: value for name, value in context.items() if name != "targetingKey"}
    try:
        found = _resolve(ready, core, EvaluationContext(user or None, attributes))
    except OpenFeatureError as error:
        return Failure(ready.key, "PARSE_ERROR" if error.error_code == "PARSE_ERROR" else "GENERAL", _text(error))
    except Exception as error:  # noqa: BLE001 - rules of people and attributes of users meet in a foreign library: any kind may come
        return Failure(ready.key, "PARSE_ERROR", f"the targeting cannot be evaluated with this context: {_text(error)}")
    if found is not None:
        return ready.answer(found, "targeting")
    if ready.needs_key and not user:
        return Failure(ready.key, "TARGETING_KEY_MISSING", KEY_MISSING)
    return None


def _resolve(ready: _Ready, core: FlagdCore, context: EvaluationContext) -> str | None:
    """The variant that flagd's core names. Raises: whatever it, or an operator of the rules, raises."""
    kind = ready.spec.value_type
    found: FlagResolutionDetails[Any]
    if kind == "boolean":
        found = core.resolve_boolean_value(ready.key, default_value=False, ctx=context)
    elif kind == "string":
        found = core.resolve_string_value(ready.key, default_value="", ctx=context)
    elif kind == "number":
        found = core.resolve_float_value(ready.key, default_value=0.0, ctx=context)
    else:
        found = core.resolve_object_value(ready.key, default_value={}, ctx=context)
    return found.variant


def bucket_is_in(key: str, user: str, percent: float) -> bool:
    """Whether a user is among the first ``percent`` (0 to 100) of a flag's users.

    The bucket is flagd's: MurmurHash3 of key and targetingKey, shared out over a fixed sum of weights, so a user who is in at some
    percentage is in at every higher one, on every machine. Source: flagd documentation, "Fractional operation".
    """
    parts = _parts(percent)
    data = {"$flagd": {"flagKey": key}, "targetingKey": user}
    return fractional(data, ["in", parts], ["out", PARTS - parts]) == "in"


def _parts(percent: float) -> int:
    """Thousandths of a percent; more than none stays more than none, and less than all stays less than all."""
    if percent <= 0 or percent >= 100:
        return 0 if percent <= 0 else PARTS
    return min(PARTS - 1, max(1, round(percent * PARTS / 100)))


def _ramped(ready: _Ready, context: Mapping[str, Any]) -> Answer | Failure:
    ramp = ready.ramp
    if ramp is None:
        return ready.answer(ready.base, "default" if ready.rules else "static")
    if any(_is_one_of(context.get(segment.attribute), segment.values) for segment in ramp.segments):
        return ready.answer(ramp.variant, "segment")
    if ramp.percent <= 0:
        return ready.answer(ready.base, "default")
    user = context.get("targetingKey")
    if not user:
        return Failure(ready.key, "TARGETING_KEY_MISSING", KEY_MISSING)
    return ready.answer(ramp.variant if bucket_is_in(ready.key, user, ramp.percent) else ready.base, "ramp")


def _is_one_of(value: Any, wanted: tuple[Any, ...]) -> bool:
    """Python holds True for 1; people do not."""
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in wanted)


def _ready(flag: Flag, environment: Environment) -> _Ready:
    spec, live = flag.spec, flag.state.live_in(environment)
    rules = targeting_in(spec, environment)
    ramp, base = live.ramp, default_variant(spec, environment)
    if live.killed:
        rules, base = {}, spec.killed_variant
    elif ramp is not None and ramp.percent >= 100:
        base = ramp.variant
        ramp = None
    elif ramp is not None and ramp.percent <= 0 and not ramp.segments:
        ramp = None
    return _Ready(
        key=flag.key, venture=flag.venture, revision=flag.revision, spec=spec, environment=environment, base=base, killed=live.killed,
        ramp=ramp, rules=rules, needs_key=needs_targeting_key(rules), splits=splits(rules), core=_core(flag.key, spec, rules),
    )  # fmt: skip


def _kept(ready: _Ready | None, flag: Flag) -> _Ready | None:
    return ready if ready is not None and ready.revision == flag.revision else None


def _core(key: str, spec: FlagSpec, rules: Mapping[str, Any]) -> FlagdCore | None:
    """The evaluator of the rules (flagd's), without a default: what they do not decide is decided here."""
    if not rules:
        return None
    core = FlagdCore()
    core.set_flags({"flags": {key: {"state": "ENABLED", "variants": dict(spec.variants), "targeting": dict(rules)}}})
    return core


def _written(ready: _Ready, variant: str, decision: str) -> Answer:
    reason = _reason(ready, decision)
    value = ready.spec.variants[variant]
    metadata = {"decision": decision, "environment": ready.environment.value}
    document = {"key": ready.key, "value": value, "variant": variant, "reason": reason, "metadata": metadata}
    return Answer(ready.key, variant, value, reason, decision, json.dumps(document, separators=(",", ":")).encode())


def _reason(ready: _Ready, decision: str) -> str:
    """OFREP 0.3.0 knows STATIC, TARGETING_MATCH, SPLIT, DISABLED and UNKNOWN, but not OpenFeature's DEFAULT.

    A default that came out of rules depends on the context, so it must not be called STATIC: clients keep static answers.
    """
    if decision == "targeting":
        return "SPLIT" if ready.splits else "TARGETING_MATCH"
    return {"killed": "DISABLED", "ramp": "SPLIT", "static": "STATIC"}.get(decision, "TARGETING_MATCH")


def _text(error: Exception) -> str:
    return str(getattr(error, "error_message", None) or error)[:200] or type(error).__name__
