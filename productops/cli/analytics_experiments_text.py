"""Experiments as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from productops.cli.development_progress_text import columns

Document = Mapping[str, Any]
RATES = {"conversion", "retention"}


def experiments_table(items: Sequence[Document]) -> str:
    """One line each."""
    if not items:
        return "there are no experiments; declare one as kind: Experiment and apply the catalog"
    rows = [
        (each["name"], each["state"], each["flag"], each["method"], str(each["looks"]), _day(each["started_at"]), each["owner"])
        for each in items
    ]
    return columns(("name", "state", "flag", "method", "looks", "started", "owner"), rows)


def head(found: Document) -> list[str]:
    """Where it stands."""
    arms = f"{', '.join(found['variants'])} against {found['control']}"
    lines = [f"{found['name']}: {found['state']}, run {found['run']}, {arms} of flag {found['flag']} in {found['environment']}"]
    if found["started_at"]:
        end = f", planned until {_day(found['planned_end'])}" if found["planned_end"] else ""
        stopped = f", stopped {_minute(found['stopped_at'])}" if found["stopped_at"] else ""
        lines.append(f"started {_minute(found['started_at'])}{end}{stopped}, {found['looks']} looks, method {found['method']}")
    if found["breach"]:
        lines += [f"breach: {found['breach']['sentence']}", f"done about it: {found['breach']['action']}"]
    if found["decision"]:
        decided = found["decision"]
        which = f" {decided['variant']}" if decided["variant"] else ""
        lines.append(f"decided by {decided['by']}: {decided['choice']}{which}. {decided['sentence']}")
    return lines


def experiment_page(found: Document) -> str:
    """Where it stands and what the newest look found."""
    lines = head(found)
    look = found["look"]
    if look is None:
        return "\n".join([*lines, "nobody has looked at it yet"])
    people = ", ".join(f"{variant} {count:,}" for variant, count in look["people"].items())
    split = "NOT as planned" if look["split_broken"] else "as planned"
    lines += ["", look["sentence"], "", f"look {look['number']}, {_minute(look['at'])}: {people} people, split {split}"]
    rows = [row for metric in (*look["metrics"], *look["guardrails"]) for row in _rows(metric)]
    lines.append(columns(("metric", "variant", "control", "value", "change", "interval", "p", "better with", "says"), rows))
    groups = [group for metric in look["metrics"] for group in metric["segments"]]
    if groups:
        lines += ["", "groups, drawn together (single groups mislead: believe the last columns)"]
        lines.append(
            columns(
                ("group", "variant", "people", "seen", "believed", "interval", "unlike the rest"),
                [
                    (
                        f"{g['dimension']}={g['value']}", g["variant"], f"{g['people']:,}", _percent(g["seen"]), _percent(g["believed"]),
                        _interval(g), f"p {g['p']:.2g}",
                    )
                    for g in groups
                ],
            )
        )  # fmt: skip
    return "\n".join([*lines, *(f"note: {note}" for note in look["notes"])])


def size_page(found: Document) -> str:
    """How many people it takes, and how long."""
    wanted = found["wanted"]
    learned = f"learned from {found['learned_from']:,} people" if found["learned_from"] else "as given"
    kept = f"; the past takes {1 - found['kept']:.0%} of the variance away" if found["kept"] < 0.995 else ""
    lines = [
        f"{found['metric']} is {found['mean']:.4g} today ({learned}), {found['people_per_day']:,.0f} people a day{kept}",
        f"a change of {wanted['effect']:.1%} is seen with a chance of {found['power']:.0%} by {_people(wanted)} ({_days(wanted)})",
        f"then wait for the windows of the last people ({found['extra_days']:g} d); method {found['method']}, alpha {found['alpha']:g}",
    ]
    if found["tuned"] and found["tuned"]["people"] and found["tuned"]["people"] < 0.97 * wanted["people"]:
        lines.append(f"with planned_people: {found['tuned']['people']} in the catalog that many are enough ({_days(found['tuned'])})")
    sizes = [(f"{r['effect']:.1%}", f"{r['people']:,}" if r["people"] else "-", _days(r)) for r in found["sizes"]]
    lines += ["", columns(("change", "people", "days"), sizes)]
    if found["reach"]:
        rows = [(f"{r['days']:g}", f"{r['people']:,}", f"{r['effect']:.1%}" if r["effect"] is not None else "-") for r in found["reach"]]
        lines += ["", columns(("days", "people", "smallest change seen"), rows)]
    return "\n".join(lines)


def _rows(metric: Document) -> list[tuple[str, ...]]:
    arms = {arm["variant"]: arm for arm in metric["arms"]}
    control = metric["arms"][0]
    name = metric["name"] if metric["guardrail"] is None else f"{metric['name']} (guardrail)"
    return [
        (
            name, c["variant"], _value(metric, control), _value(metric, arms[c["variant"]]), _percent(c["change"]), _interval(c),
            f"{c['adjusted_p']:.2g}" if c["adjusted_p"] is not None else "-", f"{c['chance']:.1%}" if c["chance"] is not None else "-",
            _says(metric, c),
        )
        for c in metric["contrasts"]
    ]  # fmt: skip


def _says(metric: Document, contrast: Document) -> str:
    if metric["guardrail"] is not None:
        return "DOES NOT HOLD" if contrast["standing"] == "worse" else "holds"
    return str(contrast["problem"] or contrast["standing"])


def _value(metric: Document, arm: Document) -> str:
    if arm["value"] is None:
        return "-"
    return f"{arm['value']:.2%}" if metric["kind"] in RATES else f"{arm['value']:,.4g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1%}"


def _interval(row: Document) -> str:
    return "-" if row["low"] is None else f"{row['low']:+.1%} to {row['high']:+.1%}"


def _people(row: Document) -> str:
    return "more people than there are" if row["people"] is None else f"{row['people']:,} people"


def _days(row: Document) -> str:
    return "-" if row["days"] is None else f"{row['days']:,.1f} days"


def _day(text: str | None) -> str:
    return text[:10] if text else "-"


def _minute(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"
