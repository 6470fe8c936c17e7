"""Commands of logs and traces: search, tail, templates, jumps, errors, services; list, show, graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from productops.cli.release import ApiUrl, AsJson, Home, api

LOGS = "/api/v1/product-ops/logs"
TRACES = "/api/v1/product-ops/traces"
OPS = "/api/v1/product-ops"
PAGE = 500
logs_app = typer.Typer(name="logs", help="What services wrote: lines, their shapes, errors.", no_args_is_help=True, rich_markup_mode=None)
traces_app = typer.Typer(name="traces", help="Where time went, and who calls whom.", no_args_is_help=True, rich_markup_mode=None)


class LevelName(StrEnum):
    """How bad a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    FATAL = "fatal"


class EnvironmentName(StrEnum):
    """Where."""

    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


Service = Annotated[str, typer.Argument(help="Name of the service.")]
Text = Annotated[str, typer.Argument(help='Words, beginnings of words, "phrases"; -word leaves lines out.')]
OfService = Annotated[str | None, typer.Option("--service", help="Of this service only.")]
OfVersion = Annotated[str | None, typer.Option("--version", help="Of this version only.")]
OfEnvironment = Annotated[EnvironmentName | None, typer.Option("--environment", help="Of this environment only.")]
OfInstance = Annotated[str | None, typer.Option("--instance", help="Of this instance only.")]
OfLevel = Annotated[LevelName | None, typer.Option("--level", help="At least as bad.")]
OfTrace = Annotated[str | None, typer.Option("--trace", help="Of this trace.")]
In = Annotated[EnvironmentName, typer.Option("--environment", help="Environment.")]
Minutes = Annotated[int, typer.Option("--minutes", min=1, max=525_600, help="Of the last so many minutes.")]


@logs_app.command("search")
def search(
    text: Text = "",
    *,
    service: OfService = None,
    version: OfVersion = None,
    environment: OfEnvironment = None,
    instance: OfInstance = None,
    level: OfLevel = None,
    trace: OfTrace = None,
    template: Annotated[int | None, typer.Option("--template", help="Of this template.")] = None,
    minutes: Minutes = 60,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Most lines.")] = 100,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Lines that fit, the oldest first, as many of the newest as asked for."""
    wanted = _wanted(service, version, environment, instance, level) | {"text": text or None, "trace_id": trace, "template": template}
    lines: list[dict[str, Any]] = []
    after: str | None = None
    with api(home, api_url, as_json=as_json) as client:
        while len(lines) < limit:
            page = client.get(LOGS, **wanted, **_since(minutes), after=after, limit=min(PAGE, limit - len(lines)))
            lines += page["items"]
            after = page["next"]
            if after is None:
                break
    lines.reverse()
    print(json.dumps({"items": lines, "next": after}) if as_json else "\n".join(map(line_text, lines)) or "no lines")


@logs_app.command("tail")
def tail(
    text: Text = "",
    *,
    service: OfService = None,
    version: OfVersion = None,
    environment: OfEnvironment = None,
    instance: OfInstance = None,
    level: OfLevel = None,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Lines as they are written, until Ctrl-C."""
    wanted = _wanted(service, version, environment, instance, level) | {"text": text or None}
    with api(home, api_url, as_json=as_json) as client:
        try:
            for line in client.follow(f"{LOGS}/tail", **wanted):
                if line:
                    print(json.dumps(line) if as_json else line_text(line), flush=True)
        except KeyboardInterrupt:
            return


@logs_app.command("errors")
def errors(
    service: Service,
    *,
    environment: In = EnvironmentName.PRODUCTION,
    minutes: Minutes = 60,
    new_in: Annotated[str | None, typer.Option("--new-in", help="Only what began in this version.")] = None,
    traces: Annotated[bool, typer.Option("--traces", help="Also the latest of each, whole.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Errors by type and place: since when, which version began it, how often each version has it."""
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{LOGS}/errors", service=service, environment=environment.value, new_in=new_in, **_since(minutes))
    print(json.dumps(found) if as_json else errors_text(found, traces=traces))


@logs_app.command("templates")
def templates(
    service: Service, *, environment: In = EnvironmentName.PRODUCTION, minutes: Minutes = 60, as_json: AsJson = False,
    api_url: ApiUrl = None, home: Home = None,
) -> None:  # fmt: skip
    """Shapes of its lines, and how often each came."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{LOGS}/templates", service=service, environment=environment.value, **_since(minutes))
    rows = [(str(t["id"]), t["level"], f"{t['count']:,}", plain(t["text"])[:120]) for t in found["items"]]
    print(json.dumps(found) if as_json else render(("id", "level", "lines", "template"), rows) if rows else "no lines")


@logs_app.command("jumps")
def jumps(
    service: Service,
    *,
    environment: In = EnvironmentName.PRODUCTION,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=1_440, help="The last so many minutes, against the hour before.")] = 10,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Lines that come much more, or much less, often than before."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{LOGS}/jumps", service=service, environment=environment.value, **_since(minutes))
    rows = [
        (str(j["template"]["id"]), f"{j['before_per_min']:.1f}", f"{j['now_per_min']:.1f}", plain(j["template"]["text"])[:120])
        for j in found["items"]
    ]
    print(json.dumps(found) if as_json else render(("id", "before/min", "now/min", "template"), rows) if rows else "nothing unusual")


@logs_app.command("services")
def services(*, as_json: AsJson = False, api_url: ApiUrl = None, home: Home = None) -> None:
    """Which services log, and how much of it is kept."""
    from productops.cli.stack.tables import render

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{LOGS}/services")
    rows = [
        (s["service"], s["environment"], s["first_at"][:19], s["last_at"][:19], f"{s['lines']:,}", f"{s['dropped']:,}")
        for s in found["items"]
    ]
    table = render(("service", "environment", "since", "last", "lines", "only counted"), rows) if rows else "no service logs yet"
    print(json.dumps(found) if as_json else table)


@traces_app.command("list")
def list_traces(
    *,
    service: OfService = None,
    environment: OfEnvironment = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed.")] = False,
    slower_than_ms: Annotated[float | None, typer.Option("--slower-than-ms", min=0, help="Only what took at least so long.")] = None,
    minutes: Minutes = 60,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="Most of them.")] = 50,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Entries into a service, or beginnings of traces, the newest first."""
    from productops.cli.release_text import plain
    from productops.cli.stack.tables import render

    where = environment.value if environment is not None else None
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(
            TRACES, service=service, environment=where, error=True if failed else None, duration_min_ms=slower_than_ms, limit=limit,
            **_since(minutes),
        )  # fmt: skip
    rows = [
        (s["trace_id"], s["started_at"][:23], s["service"], plain(s["name"])[:60], f"{s['duration_ms']:,.1f} ms", _failed(s))
        for s in found["items"]
    ]
    print(json.dumps(found) if as_json else render(("trace", "began", "service", "what", "took", "failed"), rows) if rows else "no traces")


@traces_app.command("show")
def show(
    trace: Annotated[str, typer.Argument(help="Id of a trace: 32 hex digits; or of a release.")],
    *,
    attributes: Annotated[bool, typer.Option("--attributes", help="Also the attributes of each span.")] = False,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """A trace as a tree: who did what, when, and for how long."""
    path = f"{OPS}/releases/{trace}/trace" if "-" in trace else f"{TRACES}/{trace}"
    with api(home, api_url, as_json=as_json) as client:
        found = client.get(path)
    print(json.dumps(found) if as_json else trace_text(found, attributes=attributes))


@traces_app.command("graph")
def graph(
    *,
    venture: Annotated[str | None, typer.Option("--venture", help="Of this venture only.")] = None,
    minutes: Minutes = 60,
    as_json: AsJson = False,
    api_url: ApiUrl = None,
    home: Home = None,
) -> None:
    """Who calls whom: rate, failures, durations as the caller saw them."""
    from productops.cli.stack.tables import render

    with api(home, api_url, as_json=as_json) as client:
        found = client.get(f"{OPS}/call-graph", venture=venture, **_since(minutes))
    rows = [
        (e["caller"], e["callee"], e["kind"], f"{e['calls_per_s']:.2f}", f"{e['error_ratio']:.1%}", f"{e['p50_ms']:.1f}",
         f"{e['p95_ms']:.1f}")
        for e in found["items"]
    ]  # fmt: skip
    heads = ("caller", "callee", "kind", "calls/s", "failed", "p50 ms", "p95 ms")
    print(json.dumps(found) if as_json else render(heads, rows) if rows else "no calls")


def _wanted(
    service: str | None, version: str | None, environment: EnvironmentName | None, instance: str | None, level: LevelName | None
) -> dict[str, Any]:
    return {
        "service": service, "version": version, "environment": environment.value if environment is not None else None,
        "instance": instance, "level": level.value if level is not None else None,
    }  # fmt: skip


def _since(minutes: int) -> dict[str, Any]:
    return {"since": (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()}


def line_text(line: Mapping[str, Any]) -> str:
    """One line for people: when, how bad, who, and what; what belongs to it is indented."""
    from productops.cli.release_text import plain

    first, *rest = str(line["text"]).split("\n")
    version = f" {line['version']}" if line["version"] else ""
    head = f"{line['at'][:23]:<23} {line['level'].upper():<7} {line['service']}{version}: {plain(first)}"
    return "\n".join([head, *(f"    {_indent(each)}{plain(each)}" for each in rest)])


def _indent(text: str) -> str:
    """The blanks at its beginning, which say what belongs to what in a trace."""
    return " " * (len(text) - len(text.lstrip()))


def errors_text(found: Mapping[str, Any], *, traces: bool) -> str:
    """Errors for people."""
    from productops.cli.release_text import plain

    parts = []
    for e in found["items"]:
        by_version = ", ".join(f"{version or 'no version'} {count:,}" for version, count in sorted(e["by_version"].items()))
        began = f"; began in {plain(e['first_version'])}" if e["first_version"] else ""
        place = f" in {plain(e['frames'][-1])}" if e["frames"] else ""
        parts.append(f"{e['count']:>8,}  {plain(e['type']) or 'line'}{place}: {plain(e['message'])[:200]}")
        parts.append(f"          since {e['first_seen'][:19]}{began}; by version: {by_version}")
        if traces:
            parts += [f"          | {_indent(line)}{plain(line)}" for line in e["sample"].split("\n")]
    return "\n".join(parts) or "no errors"


def trace_text(found: Mapping[str, Any], *, attributes: bool) -> str:
    """A trace as a tree."""
    known = {span["span_id"] for span in found["spans"]}
    children: dict[str, list[dict[str, Any]]] = {}
    for span in found["spans"]:
        children.setdefault(span["parent_id"] if span["parent_id"] in known else "", []).append(span)
    began = datetime.fromisoformat(found["started_at"])
    lines = [f"trace {found['trace_id']}: {len(found['spans'])} spans, {found['duration_ms']:,.1f} ms"]
    waiting = [(span, 0) for span in reversed(children.get("", []))]
    while waiting:
        span, depth = waiting.pop()
        lines += _span_lines(span, depth, began, attributes=attributes)
        waiting += [(child, depth + 1) for child in reversed(children.pop(span["span_id"], []))]
    return "\n".join(lines)


def _span_lines(span: Mapping[str, Any], depth: int, began: datetime, *, attributes: bool) -> list[str]:
    from productops.cli.release_text import plain

    after_ms = (datetime.fromisoformat(span["started_at"]) - began).total_seconds() * 1_000
    failed = f"  FAILED {plain(span['message'])}" if span["error"] else ""
    indent = "  " * depth
    lines = [f"{after_ms:>10,.1f} +{span['duration_ms']:>10,.1f} ms  {indent}{span['service']}: {plain(span['name'])}{failed}"]
    if attributes:
        lines += [f"{'':28}{indent}{plain(str(key))} = {plain(str(value))}" for key, value in sorted(span["attributes"].items())]
    return lines


def _failed(span: Mapping[str, Any]) -> str:
    from productops.cli.release_text import plain

    return plain(span["message"])[:40] or "yes" if span["error"] else ""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(logs_app)
    app.add_typer(traces_app)
