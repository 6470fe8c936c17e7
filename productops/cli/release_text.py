"""Releases as sentences and lines for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Payload = Mapping[str, Any]


def plain(value: object) -> str:
    """Text that cannot steer a terminal: reasons may quote what a service printed."""
    text = " ".join(str(value).split())
    return "".join(c if c.isprintable() else "�" for c in text)


def sentence(release: Payload) -> str:
    """How a release stands, in one sentence."""
    service, version, environment = release["service"], release["version"], release["environment"]
    reason, cause = plain(release["reason"]), release["cause"]
    match release["phase"]:
        case "promoted":
            return f"{service} {version} is what users in {environment} have now."
        case "passed":
            return f"{service} {version} passed its trial in {environment}; users keep {release['baseline_version'] or 'nothing'}."
        case "rolled_back":
            return f"{service} {version} was rolled back ({cause}): {reason}. Users have {release['baseline_version'] or 'nothing'}."
        case "failed":
            return f"{service} {version} never reached users ({cause}): {reason}."
        case "rolling_back":
            return f"{service} {version} is being rolled back ({cause}): {reason}."
        case phase:
            return f"{service} {version} is {str(phase).replace('_', ' ')} in {environment}."


def clock(at: str) -> str:
    """Time of day in UTC of an ISO time."""
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%H:%M:%S")


def percent(share: float | None) -> str:
    """A share of 1 as percent."""
    return "–" if share is None else f"{share * 100:.2f} %"


def milliseconds(value: float | None) -> str:
    """A latency."""
    return "–" if value is None else f"{value:.0f} ms"


def arm(values: Payload | None) -> str:
    """One version's traffic in one second."""
    if values is None:
        return "not measured"
    return f"{values['requests']}/s, {percent(values['failure_ratio'])} failed, p99 {milliseconds(values['p99_ms'])}"


def line_of(event: Payload) -> str | None:
    """An event as a line; None for what is only worth a picture."""
    tell = _LINES.get(event["type"])
    return f"{clock(event['at'])}  {plain(tell(event['payload']))}" if tell else None


def look_line(event: Payload, threshold: float) -> str:
    """A second of the rollout as a line."""
    payload = event["payload"]
    return plain(
        f"{clock(event['at'])}  {payload['weight_pct']} %: candidate {arm(payload['candidate'])}; baseline {arm(payload['baseline'])}; "
        f"{evidence(payload['log_e'], threshold)}{', certified' if payload['certified'] else ''}"
    )


def _phase(payload: Payload) -> str:
    cause = f" ({payload['cause']})" if "cause" in payload else ""
    return f"{str(payload['to']).replace('_', ' ')}{cause}: {payload['reason']}"


def _shift(payload: Payload) -> str:
    title = str(payload["title"])
    what = f"{title} of the traffic on the candidate" if title.removesuffix(" %").isdigit() else title
    return f"step {payload['step'] + 1}: {what}, held for {payload['hold_s']:g} s"


_LINES: dict[str, Callable[[Payload], str]] = {
    "requested": lambda p: f"requested by {p['by']}: {p['title']}",
    "phase": _phase,
    "shift": _shift,
    "step_ended": lambda p: f"step {p['step'] + 1} {p['verdict']}: {p['reason']}",
    "unmeasured": lambda p: f"step {p['step'] + 1} is held: no measurement for {p['silent_s']:g} s, at most {p['at_most_s']:g} s",
    "extended": lambda p: f"step {p['step'] + 1} is held once more ({p['times']} of 3): {p['reason']}",
    "incident": lambda p: f"incident {p['incident_id']}: {p['reason']}",
    "flag_taken_back": lambda p: f"flag {p['flag']} is back at {p['percent']:g} % of users",
    "flag_left": lambda p: f"flag {p['flag']} stays at {p['percent']:g} % of users, where somebody else has put it",
    "rollback_prepared": lambda p: f"{p['version']} is being started again, asked for by {p['by']}: {p['reason']}",
}


def evidence(log_e: float | None, threshold: float) -> str:
    """How much speaks against the candidate; a logarithm of nothing is written as -700 or not at all."""
    return f"log e {log_e:.2f} of {threshold:.2f}" if log_e is not None and log_e > -600.0 else "no evidence of harm"
