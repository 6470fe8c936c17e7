"""Pages and tables of releases and services for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from productops.cli.release_evidence import evidence_lines
from productops.cli.release_text import clock, milliseconds, percent, plain, sentence
from productops.cli.stack.tables import render

Document = Mapping[str, Any]
TIME_LINE = 30


def releases_table(items: Sequence[Document]) -> str:
    """One line for each release."""
    if not items:
        return "no releases"
    rows = [
        (
            str(item["created_at"])[:19].replace("T", " "),
            item["service"],
            f"{item['baseline_version'] or '–'} → {item['version']}",
            item["environment"],
            item["phase"].replace("_", " "),
            item["cause"] or "",
            item["id"],
        )
        for item in items
    ]
    return _render(("when (UTC)", "service", "versions", "environment", "phase", "cause", "id"), rows)


def release_page(release: Document) -> str:
    """Everything about one release."""
    parts = [plain(release["title"]), sentence(release), f"id {release['id']}, asked for by {plain(release['requested_by'])}"]
    if release["note"]:
        parts.append(f"note: {plain(release['note'])}")
    if release["flow_run"]:
        parts.append(f"flow run: {release['flow_run']['url']}")
    parts.append(_traffic(release))
    if release["steps"]:
        parts += ["", _steps(release["steps"])]
    if release.get("look"):
        parts += ["", *evidence_lines(release["look"])]
    parts += ["", _moves(release["transitions"])]
    for incident in release["incidents"]:
        parts.append(f"incident {incident['incident_id']} {incident['severity']} {incident['status']}: {plain(incident['title'])}")
    output = next((m["evidence"]["last_output"] for m in release["transitions"] if m["evidence"].get("last_output")), "")
    if output:
        parts += ["last output of the candidate:", *(f"  {plain(line)}" for line in str(output).splitlines())]
    return "\n".join(parts)


def _traffic(release: Document) -> str:
    traffic = release["traffic"]
    if traffic is None:
        return "traffic: none yet"
    share = f", {traffic['candidate_pct']} % {traffic['candidate_version']}" if traffic["candidate_version"] else ""
    lease = f", lease {traffic['lease']['left_s']:.0f} s left" if traffic["lease"] else ""
    confirmed = "confirmed by the router" if traffic["confirmed"] else "not confirmed by the router yet"
    return f"traffic now: {traffic['baseline_version'] or 'nothing'}{share}, {confirmed}{lease}"


def _steps(steps: Iterable[Document]) -> str:
    rows = []
    for step in steps:
        candidate, baseline = step["summary"].get("candidate") or {}, step["summary"].get("baseline") or {}
        rows.append(
            (
                step["title"],
                f"{step['hold_s']:g} s",
                step["verdict"] or ("held now" if step["started_at"] else "not begun"),
                str(candidate.get("requests", "–")),
                f"{percent(candidate.get('failure_ratio'))} / {percent(baseline.get('failure_ratio'))}",
                f"{milliseconds(candidate.get('p99_ms'))} / {milliseconds(baseline.get('p99_ms'))}",
                step["reason"],
            )
        )
    columns = ("step", "hold", "verdict", "requests", "failed: candidate / baseline", "p99: candidate / baseline", "reason")
    return _render(columns, rows, right=("hold", "requests"))


def _moves(moves: Iterable[Document]) -> str:
    rows = [(clock(m["at"]), m["to"].replace("_", " "), m["actor"], m["reason"]) for m in moves]
    return _render(("at (UTC)", "became", "by", "why"), rows) if rows else "it has not moved yet"


def plan_page(plan: Document) -> str:
    """What a release would do."""
    head = f"{plan['service']} {plan['baseline_version'] or 'nothing'} → {plan['version']} in {plan['environment']} by {plan['strategy']}"
    if not plan["steps"]:
        return f"{plain(head)}\nthe first version here: all users get it once it is healthy, there is nothing to compare with"
    analysis = plan["plan"]["analysis"]
    rows = [(str(s["index"] + 1), s["title"], f"{s['hold_s']:g} s") for s in plan["steps"]]
    return "\n".join(
        (
            plain(head),
            _render(("step", "candidate gets", "held"), rows, right=("step", "held")),
            f"judged every second; a good version is rolled back with a chance of at most {analysis['alpha'] * 100:g} %",
            f"a step ends by {analysis['promote_on']}; with too little evidence: {analysis['on_inconclusive']}",
            f"at most {plan['longest_s']:g} s after the candidate is healthy; nothing was written",
            "",
            *_outlook(plan.get("outlook"), float(plan["longest_s"])),
        )
    )


def _outlook(outlook: Document | None, longest_s: float) -> list[str]:
    """Which harm is found how fast: a table, and a line of time for each."""
    if outlook is None:
        return ["which harm these steps find is not known: there was too little traffic in the last ten minutes"]
    traffic = outlook["traffic"]
    rows = [
        (
            harm["name"],
            "not within the plan" if harm["detected_s"] is None else f"{harm['detected_s']:.0f} s",
            f"{harm['failures']:.0f}",
            _time_line(harm["detected_s"], longest_s),
        )
        for harm in outlook["harms"]
    ]
    certified = outlook["certified_s"]
    passed = "is not certified within these steps" if certified is None else f"is certified after {certified:.0f} s"
    return [
        f"with {traffic['requests_per_s']:.1f} requests/s and {percent(traffic['failure_ratio'])} failures as just now, on average:",
        _render(
            ("harm", "rolled back after", "failures until then", "0" + " " * (TIME_LINE - 2) + f"{longest_s:g} s"),
            rows,
            right=("rolled back after", "failures until then"),
        ),
        f"a good version {passed}",
    ]


def _time_line(at_s: float | None, longest_s: float) -> str:
    if at_s is None:
        return "─" * TIME_LINE
    spot = min(TIME_LINE - 1, round((TIME_LINE - 1) * at_s / max(longest_s, 1.0)))
    return "─" * spot + "✗"


def services_table(items: Sequence[Document]) -> str:
    """What users of each service have."""
    if not items:
        return "no services; declare them in the catalog and run `productops apply`"
    rows = [
        (item["name"], item["venture"], *_place(place, item["instances_wanted"]))
        for item in items
        for place in item["environments"] or [None]
    ]
    return _render(("service", "venture", "environment", "live", "candidate", "instances", "release", "host"), rows)


def _place(place: Document | None, wanted: int) -> tuple[str, ...]:
    if place is None:
        return ("–", "never released", "", f"0/{wanted}", "", "")
    healthy = sum(i["state"] == "healthy" and i["version"] == place["live_version"] for i in place["instances"])
    candidate = f"{place['candidate_version']} at {place['candidate_pct']} %" if place["candidate_version"] else ""
    active = f"{place['release']['version']} {place['release']['phase'].replace('_', ' ')}" if place["release"] else ""
    return (place["environment"], place["live_version"] or "–", candidate, f"{healthy}/{wanted}", active, ", ".join(place["hosts"]))


def changes_table(changes: Iterable[Document]) -> str:
    """What applying a catalog does."""
    return _render(("kind", "name", "outcome"), [(c["kind"], c["name"], c["outcome"]) for c in changes])


def _render(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    return render(columns, [tuple(plain(cell) for cell in row) for row in rows], right=right)


def backtest_table(items: Sequence[Document]) -> str:
    """One line for each release that was judged again."""
    if not items:
        return "no recorded releases"
    rows = [
        (
            str(item["created_at"])[:19].replace("T", " "), item["title"], item["phase"].replace("_", " "),
            seconds(item["stopped_s"]), item["verdict"], seconds(item["would_stop_s"]), str(item["candidate_failures"]), item["reason"],
        )
        for item in items
    ]  # fmt: skip
    columns = ("when (UTC)", "release", "it was", "stopped", "now", "would stop", "failures", "reason")
    return _render(columns, rows, right=("stopped", "would stop", "failures"))


def seconds(value: float | None) -> str:
    """Seconds for a table."""
    return "–" if value is None else f"{value:g} s"
