"""The story of a release for people: a sentence, a table, a Markdown page, a picture."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from productops.adapters.release_picture import PicturePoint, draw_picture
from productops.adapters.release_plan_picture import draw_plan
from productops.domain.release import Phase, Release, StepRecord
from productops.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Report:
    """``table`` has a row per step: weight, duration in seconds, requests, errors, p99 in milliseconds, verdict."""

    release: Release
    sentence: str
    table: list[dict[str, Any]]
    markdown: str


def make_report(context: Context, release_id: str) -> Report:
    """Everything from the store as it is now. Raises: NotFoundError."""
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
        steps = unit.releases.steps(release_id)
        transitions = unit.releases.transitions(release_id)
    table = [_row(release, step) for step in steps]
    sentence = _sentence(release)
    return Report(release=release, sentence=sentence, table=table, markdown=_markdown(release, sentence, table, transitions))


def _sentence(release: Release) -> str:
    if release.phase is Phase.PROMOTED:
        return f"{release.service} {release.version} is what users in {release.environment} have now."
    if release.phase is Phase.PASSED:
        return f"{release.service} {release.version} passed its trial in {release.environment}; users keep {release.baseline_version}."
    if release.phase is Phase.ROLLED_BACK:
        back = release.baseline_version or "nothing"
        return f"{release.service} {release.version} was rolled back ({release.cause}): {release.reason}. Users have {back}."
    if release.phase is Phase.FAILED:
        return f"{release.service} {release.version} never reached users ({release.cause}): {release.reason}."
    return f"{release.service} {release.version} is {release.phase}."


def _row(release: Release, step: StepRecord) -> dict[str, Any]:
    candidate, baseline = step.summary.get("candidate", {}), step.summary.get("baseline", {})
    title = release.steps[step.index].title if step.index < len(release.steps) else f"{step.weight_pct} %"
    return {
        "step": step.index + 1,
        "share": title,
        "seconds": round((step.ended_at - step.started_at).total_seconds(), 1) if step.ended_at else None,
        f"requests {release.version}": candidate.get("requests"),
        f"errors {release.version}": candidate.get("failures"),
        f"errors {release.baseline_version}": baseline.get("failures"),
        f"p99 ms {release.version}": candidate.get("p99_ms"),
        f"p99 ms {release.baseline_version}": baseline.get("p99_ms"),
        "verdict": step.verdict or "not ended",
        "reason": step.reason,
    }


def _markdown(release: Release, sentence: str, table: list[dict[str, Any]], transitions: list[dict[str, Any]]) -> str:
    lines = [
        f"# {_plain(release.title)}",
        "",
        _plain(sentence),
        "",
        f"Release `{release.id}`, asked for by {_plain(release.requested_by)}.",
        "",
    ]
    if table:
        lines += ["| " + " | ".join(table[0]) + " |", "|" + "---|" * len(table[0])]
        lines += ["| " + " | ".join(_plain(v) for v in row.values()) + " |" for row in table] + [""]
    lines += ["| when (UTC) | became | by | why |", "|---|---|---|---|"]
    for move in transitions:
        at = datetime.fromisoformat(move["at"]).strftime("%H:%M:%S")
        lines.append(f"| {at} | {move['to']} | {_plain(move['actor'])} | {_plain(move['reason'])} |")
    output = next((m["evidence"].get("last_output") for m in transitions if m["evidence"].get("last_output")), None)
    if output:
        lines += ["", "Last output of the candidate:", ""] + [f"    {line}" for line in str(output).splitlines()]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    """Text that Markdown shows as it is: reasons may quote what a service printed."""
    text = html.escape("" if value is None else str(value), quote=False)
    text = re.sub(r"([\\`*_\[\]|#])", r"\\\1", text)
    return text.replace("\n", " ")


def draw(context: Context, release_id: str) -> bytes:
    """An SVG picture of traffic share, failure ratio, p99 and evidence over the seconds of the rollout."""
    with context.store.read() as unit:
        release = unit.releases.get(release_id)
        events = unit.releases.events(release_id, after=0, limit=100_000)
    points = [PicturePoint.from_look(e.payload) for e in events if e.type == "look"]
    return draw_picture(
        points, title=release.title, candidate=release.version, baseline=release.baseline_version or "nothing",
        alpha=float(release.plan["analysis"]["alpha"]), outcome=_sentence(release),
    )  # fmt: skip


def draw_plan_of(release: Release) -> bytes:
    """What a release that was not written yet would do, as SVG."""
    steps = [(float(step.weight_pct), step.hold_s) for step in release.steps]
    return draw_plan(steps, release.plan.get("outlook"), title=release.title)
