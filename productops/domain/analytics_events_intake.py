"""One usage event as a client sends it, read into a row: names of many clients' libraries, times, the plan, and what is personal.

Called for each event, tens of thousands of times a second: tables instead of models, and no exception where nothing is wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from productops.domain.analytics_events import GROUP, IDENTIFY, PAGEVIEW, SCREEN, Row, event_id
from productops.domain.analytics_events_guard import NEVER, SUSPICIOUS, canonical, guarded, looks_personal, without_addresses
from productops.domain.analytics_events_plan import ReadyPlan, RefusedEventError

NAME_MAX: Final = 200
PERSON_MAX: Final = 255
TEXT_MAX: Final = 200
PROPERTIES_BYTES_MAX: Final = 32_768
KEYS_MAX: Final = 255
FIRST_US: Final = 946_684_800_000_000  # 2000
FUTURE_US: Final = 86_400_000_000
HASH_MARK: Final = "h_"
_DURATION_MAX_MS: Final = 1e12
_NONE: Final[dict[str, Any]] = {}
_PERSON_KEYS = ("userId", "user_id", "person", "distinct_id")
_ANONYMOUS_KEYS = ("anonymousId", "anonymous_id", "device_id")
_TIME_KEYS = ("timestamp", "at", "time")
_ID_KEYS = ("messageId", "id", "event_id", "insert_id", "$insert_id")
FEATURE, SERVICE, VERSION, ENVIRONMENT, PLATFORM, COUNTRY, SESSION, DURATION, FAILED, VALUE = range(10)
# What stands in a column, by its name in the event or its properties; it is taken out of these.
_TAKEN: Final[dict[str, int]] = {
    "feature": FEATURE, "service": SERVICE, "version": VERSION, "app_version": VERSION, "environment": ENVIRONMENT, "platform": PLATFORM,
    "country": COUNTRY, "session_id": SESSION, "sessionId": SESSION, "session": SESSION, "duration_ms": DURATION, "failed": FAILED,
    "value": VALUE,
}  # fmt: skip
# The same in Segment's `context`, for what is nowhere else; the first that is there.
_CONTEXT: Final[tuple[tuple[str, str, int], ...]] = (
    ("app", "version", VERSION), ("app", "name", SERVICE), ("device", "type", PLATFORM), ("os", "name", PLATFORM),
    ("location", "country", COUNTRY),
)  # fmt: skip
_CONTEXT_FLAT: Final = frozenset({"feature", "environment", "platform", "country", "sessionId", "session_id"})
# What of it is kept beside the properties; addresses, user agents and device ids are not.
_CONTEXT_KEPT: Final = (("page", "path", "$path"), ("page", "referrer", "$referrer"), ("campaign", "name", "$campaign"))
_DIGITS_AS_ZERO: Final = bytes(0x30 if 0x30 <= each <= 0x39 else each for each in range(256))
Dumps = Callable[[Any], bytes]


class EventReader:
    """Reads the events of one venture."""

    def __init__(self, venture: str, plan: ReadyPlan, *, secret: bytes, dumps: Dumps, oldest_us: int = FIRST_US) -> None:
        """``secret`` is the key of hashes; ``dumps`` writes JSON; what happened before ``oldest_us`` is refused."""
        self._plan, self._dumps, self._oldest = plan, dumps, max(FIRST_US, oldest_us)
        self._guard, self._person_rule = plan.spec.guard, plan.spec.person
        salted = hmac.digest(secret, venture.encode(), hashlib.sha256)

        @lru_cache(maxsize=65_536)
        def hashed(text: str) -> str:
            return HASH_MARK + hmac.digest(salted, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:32]

        self.hashed = hashed
        self._put = hashed if self._guard == "hash" else None

    def person_keys(self, person: str) -> set[str]:
        """All keys under which somebody may be known here: as it is, and hashed."""
        return {person, self.hashed(canonical(person))}

    def read(self, raw: Any, *, received_us: int, sent_us: int | None = None) -> Row | None:
        """The row; None when the plan drops it. ``sent_us``: when the client sent the batch, by its own clock.

        Raises: RefusedEventError with the reason.
        """
        if type(raw) is not dict:
            raise RefusedEventError("an event is a JSON object")
        name, properties = _named(raw)
        user, anonymous = self._people(raw)
        at = self._time(raw, received_us, sent_us)
        if self._plan.drops(name):
            return None
        planned = self._plan.check(name, properties)
        context = raw.get("context")
        columns = _columns(raw, properties, context if type(context) is dict else _NONE)
        if planned is not None and not columns[FEATURE]:
            columns[FEATURE] = planned.feature
        if name == IDENTIFY:
            properties |= {"user_id": user, "anonymous_id": anonymous}
        text = self._private(properties, planned.personal if planned else _NONE, planned.allowed if planned else frozenset())
        person = user or anonymous
        id_ = _id(raw, person, name, at, text, timed=at != received_us)
        return [id_, person, name, *columns[:DURATION], at, received_us, *columns[DURATION:], text]

    def _people(self, raw: Mapping[str, Any]) -> tuple[str, str]:
        """User id and anonymous id, each perhaps empty and perhaps hashed. Raises: RefusedEventError when both are."""
        user = raw.get("userId")
        if type(user) is not str:
            user = _first(raw, _PERSON_KEYS)
        anonymous = raw.get("anonymousId")
        if type(anonymous) is not str:
            known = "anonymous_id" in raw or "device_id" in raw or anonymous is not None or raw.get("type") == "alias"
            anonymous = _first(raw, _ANONYMOUS_KEYS) if known else ""
        if not user and not anonymous:
            raise RefusedEventError("it names nobody: send userId or anonymousId")
        if len(user) > PERSON_MAX or len(anonymous) > PERSON_MAX:
            raise RefusedEventError(f"a user id has at most {PERSON_MAX} characters")
        if self._person_rule == "keep":
            return user, anonymous
        return self.known_as(user), self.known_as(anonymous)

    def known_as(self, key: str) -> str:
        """What a user id is called in the files: itself, or a hash."""
        if self._person_rule != "keep" and key and (self._person_rule == "hash" or (("@" in key or key[0] == "+") and looks_personal(key))):
            return self.hashed(canonical(key))
        return key

    def _time(self, raw: Mapping[str, Any], received_us: int, sent_us: int | None) -> int:
        """When it happened, by our clock. Source: Segment, "Spec: Common Fields", timestamps. Raises: RefusedEventError."""
        original, given = raw.get("originalTimestamp"), raw.get("timestamp")
        if given is None:
            given = next((raw[key] for key in _TIME_KEYS if raw.get(key) is not None), None)
        # Both of them come from somebody who has corrected it already.
        corrected = original is not None and given is not None
        given = original if given is None else given
        if given is None:
            return received_us
        at = time_us(given)
        sent = time_us(raw["sentAt"]) if raw.get("sentAt") is not None else sent_us
        if sent is not None and not corrected:
            at = received_us - (sent - at)
        if at > received_us:
            if at - received_us > FUTURE_US:
                raise RefusedEventError("its time is more than a day in the future")
            return received_us
        if at < self._oldest:
            raise RefusedEventError("it is older than events are kept")
        return at

    def _private(self, properties: dict[str, Any], personal: Mapping[str, str], allowed: frozenset[str]) -> str:
        """The properties as JSON, without what must not be kept. Raises: RefusedEventError when they are too large."""
        if not properties:
            return "{}"
        if len(properties) > KEYS_MAX:
            raise RefusedEventError(f"it has more than {KEYS_MAX} properties")
        for key in NEVER & properties.keys():
            del properties[key]
        for key in personal.keys() & properties.keys():
            given = properties.pop(key)
            if personal[key] == "hash" and given is not None:
                properties[key] = self.hashed(canonical(given if isinstance(given, str) else self._json(given).decode()))
        plain = self._json(properties)
        text = plain.decode()
        if _may_be_personal(plain) and SUSPICIOUS.search(text):
            text = self._json({key: self._clean(key, each, personal, allowed) for key, each in properties.items()}).decode()
        if len(text) > PROPERTIES_BYTES_MAX:
            raise RefusedEventError(f"its properties have more than {PROPERTIES_BYTES_MAX // 1024} KiB")
        return text

    def _clean(self, key: str, value: Any, personal: Mapping[str, str], allowed: frozenset[str]) -> Any:
        if key in personal:
            return value
        if key in allowed or self._guard == "off":
            return without_addresses(value)
        return guarded(value, self._put)

    def _json(self, value: Any) -> bytes:
        try:
            return self._dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise RefusedEventError("its properties are nested too deeply, or are no JSON") from error


def time_us(value: Any) -> int:
    """A time as clients write it, in microseconds since 1970: ISO 8601 (UTC where it names no zone), or seconds or milliseconds.

    Raises: RefusedEventError.
    """
    if type(value) is str:
        try:
            at = datetime.fromisoformat(value)
            return round((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1e6)
        except (ValueError, OverflowError) as error:
            raise RefusedEventError("its time is not in ISO 8601, like 2026-11-21T17:35:00.123Z") from error
    if type(value) in {int, float} and math.isfinite(value) and 0 < value < 1e16:
        return int(value * 1e6 if value < 1e11 else value * 1e3 if value < 1e14 else value)
    raise RefusedEventError("its time is no ISO 8601 text and no number of seconds or milliseconds since 1970")


def _named(raw: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and properties by the kind of call. Source: Segment, "The Segment Spec". Raises: RefusedEventError."""
    kind = raw.get("type") or "track"
    if kind == "track":
        name, given = raw.get("event") or raw.get("name"), raw.get("properties")
    elif kind in _CALLS:
        name, field = _CALLS[kind]
        given = raw.get(field)
    else:
        raise RefusedEventError("its type is none of track, page, screen, identify, alias, group")
    if type(name) is not str or not name or len(name) > NAME_MAX:
        raise RefusedEventError(f"its name (event) has to be a text of 1 to {NAME_MAX} characters")
    if given is not None and type(given) is not dict:
        raise RefusedEventError("its properties have to be a JSON object")
    properties = dict(given) if given else {}
    if kind in {"page", "screen", "alias", "group"}:
        _more(kind, raw, properties)
    return name, properties


_CALLS: Final = {
    "page": (PAGEVIEW, "properties"), "screen": (SCREEN, "properties"), "identify": (IDENTIFY, "traits"), "alias": (IDENTIFY, "traits"),
    "group": (GROUP, "traits"),
}  # fmt: skip


def _more(kind: str, raw: Mapping[str, Any], properties: dict[str, Any]) -> None:
    """What such a call says beside its properties."""
    if kind in {"page", "screen"} and isinstance(raw.get("name"), str):
        properties.setdefault("name", raw["name"])
    if kind == "group" and raw.get("groupId") is not None:
        properties["group_id"] = raw["groupId"]


def _first(raw: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        value = raw.get(key)
        if value is not None and value != "":
            if type(value) is str:
                return value
            if type(value) is int:
                return str(value)
            raise RefusedEventError(f"{key} has to be a text or a whole number")
    if raw.get("type") == "alias" and keys is _ANONYMOUS_KEYS:
        return str(raw.get("previousId") or "")
    return ""


def _may_be_personal(text: bytes) -> bool:
    """Whether it is worth to look closely: an at sign, many digits with at most separators between, three dots, a colon within a text."""
    return (
        b"@" in text or text.count(b".") > 2 or b"0000000" in text.translate(_DIGITS_AS_ZERO, b" .()-")
        or text.count(b":") != text.count(b'":')
    )  # fmt: skip


def _columns(raw: Mapping[str, Any], properties: dict[str, Any], context: Mapping[str, Any]) -> list[Any]:
    """Feature, service, version, environment, platform, country, session, duration in milliseconds, whether it failed, an amount."""
    found: list[Any] = ["", "", "", "", "", "", "", None, None, None]
    for key in [each for each in properties if each in _TAKEN]:
        _put(found, _TAKEN[key], properties.pop(key))
    for key in raw:
        if key in _TAKEN:
            _put(found, _TAKEN[key], raw[key])
    if context:
        _from_context(context, found, properties)
    duration = found[DURATION]
    if duration is not None:
        duration = _number(duration)
        found[DURATION] = duration if duration is not None and 0 <= duration <= _DURATION_MAX_MS else None
    if type(found[FAILED]) is not bool:
        found[FAILED] = None
    value = found[VALUE]
    if value is None:
        value = properties.get("revenue", properties.get("total"))
    found[VALUE] = _number(value) if value is not None else None
    return found


def _put(found: list[Any], place: int, value: Any) -> None:
    if value is None:
        return
    if place < DURATION and (type(value) is not str or len(value) > TEXT_MAX):
        value = str(value)[:TEXT_MAX]
    found[place] = value


def _from_context(context: Mapping[str, Any], found: list[Any], properties: dict[str, Any]) -> None:
    for key in context:
        if key in _CONTEXT_FLAT and not found[_TAKEN[key]] and type(context[key]) is str:
            _put(found, _TAKEN[key], context[key])
    for outer, inner, place in _CONTEXT:
        if outer in context and not found[place] and type(context[outer]) is dict:
            _put(found, place, context[outer].get(inner))
    if "page" in context or "campaign" in context:
        for outer, inner, name in _CONTEXT_KEPT:
            part = context.get(outer)
            if type(part) is dict and type(part.get(inner)) is str:
                properties.setdefault(name, part[inner][:TEXT_MAX])


def _number(value: Any) -> float | None:
    if type(value) is int or type(value) is float:
        return float(value) if abs(value) < 1e300 else None
    return None


def _id(raw: Mapping[str, Any], person: str, name: str, at: int, text: str, *, timed: bool) -> str:
    """Its own id; else one that the same event gets again. Without a time, two that look alike may be two."""
    for key in _ID_KEYS:
        given = raw.get(key)
        if type(given) is str and given:
            return event_id(given)
    if not timed:
        return uuid.uuid4().hex
    return event_id(f"{person}\x00{name}\x00{at}\x00{text}")
