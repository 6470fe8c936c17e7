"""The evidence of one release as a page: what a link in the Prefect UI leads to. It reads, and only that release."""

from __future__ import annotations

import base64
import json
from html import escape
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response

from productops.api.access import is_evidence_key
from productops.domain.evidence_link import PATH
from productops.errors import UnauthorizedError
from productops.usecases.context import Context
from productops.usecases.release_report import draw, make_report

router = APIRouter(include_in_schema=False)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
    "img{max-width:100%}pre{background:#f4f4f4;padding:1rem;overflow:auto;max-height:30rem}"
)
# The picture is a data URL; nothing is loaded from anywhere and no script runs.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.get(PATH + "/{release_id}")
async def evidence(request: Request, release_id: str, key: str = "") -> Response:
    """Raises: UnauthorizedError for a key that is not this release's, NotFoundError."""
    if not is_evidence_key(key, request.app.state.token, release_id):
        raise UnauthorizedError("this link has no valid key; open it from the release's artifacts in the Prefect UI")
    page = await anyio.to_thread.run_sync(_page, request.app.state.context, release_id)
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


def _page(context: Context, release_id: str) -> str:
    report = make_report(context, release_id)
    with context.store.read() as unit:
        moves = unit.releases.transitions(release_id)
        looks = unit.releases.looks(release_id)
    parts = [f"<h1>{escape(report.release.title)}</h1><p>{escape(report.sentence)}</p>"]
    if looks:
        picture = base64.b64encode(draw(context, release_id)).decode()
        parts.append(f'<img alt="traffic share, failures, latency and evidence over time" src="data:image/svg+xml;base64,{picture}">')
    parts.append("<h2>Steps</h2>" + _table(report.table))
    parts.append("<h2>Moves</h2>" + _table([{k: v for k, v in move.items() if k != "evidence"} for move in moves]))
    if looks:
        parts.append("<h2>What was compared</h2>" + _compared(looks[-1]["evidence"]))
    if report.release.plan.get("outlook"):
        parts.append("<h2>What was expected of the plan</h2>" + _expected(report.release.plan["outlook"]))
    if looks:
        last = escape(json.dumps(looks[-1], indent=2, sort_keys=True))
        parts.append(f"<h2>The last of {len(looks)} looks</h2><pre>{last}</pre>")
    title = escape(report.release.title)
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>{"".join(parts)}</html>'


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{'' if v is None else escape(str(v))}</td>" for v in row.values()) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _compared(evidence: dict[str, Any]) -> str:
    """Hypotheses of the last look, the newest intervals, and what would have changed the verdict."""
    hypotheses = evidence.get("hypotheses")
    if not hypotheses:
        return "<p>This judge has no hypotheses; its numbers are below.</p>"
    names = (
        "log_e_counted",
        "log_e_safe",
        "candidate_events",
        "candidate_total",
        "baseline_events",
        "baseline_total",
        "ratio",
        "alpha_share",
    )
    rows = [{"hypothesis": name} | {field: _short(found.get(field)) for field in names} for name, found in hypotheses.items()]
    text = _table(rows)
    if evidence.get("intervals"):
        text += "<p>Intervals that are right at all times at once (failures: times the odds; quantiles: milliseconds):</p>"
        text += _table([{"of": name} | {end: _short(v) for end, v in found.items()} for name, found in evidence["intervals"].items()])
    following = {name: _short(value) for name, value in (evidence.get("next") or {}).items() if value is not None}
    return text + (_table([following]) if following else "")


def _expected(outlook: dict[str, Any]) -> str:
    traffic = outlook["traffic"]
    head = f"<p>{traffic['requests_per_s']:.1f} requests/s and {100 * traffic['failure_ratio']:.2g} % failures before the release.</p>"
    rows = [
        {
            "harm": h["name"],
            "rolled back after (s)": _short(h["detected_s"]) or "not within the plan",
            "failures until then": _short(h["failures"]),
        }
        for h in outlook["harms"]
    ]
    return head + _table(rows)


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value
