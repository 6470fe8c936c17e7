"""Three ways to watch a release: drawn live on a terminal, as lines, or as JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from productops.cli.release_state import Rollout
from productops.cli.release_text import evidence, line_of, look_line, milliseconds, percent, plain

LOOK_LINE_S = 10.0
LEASE_LOOK_S = 1.0
BAR = 30
_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "inconclusive": ("?", "yellow")}


class View(Protocol):
    """Shows what happens to one release."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the terminal in order."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Something happened."""

    def lost(self, reason: str) -> None:
        """The API is away; it is asked again."""

    def tick(self) -> None:
        """Called several times a second."""


class _Quiet:
    """What views without a screen have in common."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def tick(self) -> None:
        """Nothing to redraw."""


class JsonView(_Quiet):
    """Each event as a line of JSON on standard error; standard output is kept for the outcome."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Print it."""
        print(json.dumps(event), file=sys.stderr, flush=True)

    def lost(self, reason: str) -> None:
        """Print it, too."""
        print(json.dumps({"type": "lost", "reason": reason}), file=sys.stderr, flush=True)


class LineView(_Quiet):
    """A line for each event, and one of every ten seconds of traffic: for logs of CI."""

    def __init__(self, release: Mapping[str, Any]) -> None:
        self._threshold = Rollout.of(release).threshold
        self._look_at_s = 0.0

    def event(self, event: Mapping[str, Any]) -> None:
        """Print what is worth a line."""
        if event["type"] == "look":
            if event["payload"]["at_s"] >= self._look_at_s + LOOK_LINE_S or event["payload"]["verdict"] == "failed":
                self._look_at_s = event["payload"]["at_s"]
                print(look_line(event, self._threshold), flush=True)
            return
        line = line_of(event)
        if line is not None:
            print(line, flush=True)

    def lost(self, reason: str) -> None:
        """Say that the connection is gone."""
        print(f"{datetime.now(UTC):%H:%M:%S}  {plain(reason)}; asking again", flush=True)


class LeaseReader(Protocol):
    """Reads the release for what its events do not tell."""

    def __call__(self) -> Mapping[str, Any] | None:
        """The release; None while the API is away."""


class LiveView:
    """Steps, traffic of both versions, evidence and lease, drawn four times a second."""

    def __init__(self, release: Mapping[str, Any], read: LeaseReader, console: Console | None = None) -> None:
        self._rollout = Rollout.of(release)
        self._read = read
        self._lost = ""
        self._lease_until: float | None = None
        self._lease_looked_at = 0.0
        self._live = Live(console=console or Console(), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.update(self._draw(), refresh=True)
        self._live.stop()

    def event(self, event: Mapping[str, Any]) -> None:
        """Take it; the next tick draws it."""
        self._lost = ""
        self._rollout.apply(event)

    def lost(self, reason: str) -> None:
        """Show that what is shown may be old."""
        self._lost = reason

    def tick(self) -> None:
        """Read the lease once a second, and draw."""
        now = time.monotonic()
        if now - self._lease_looked_at >= LEASE_LOOK_S:
            self._lease_looked_at = now
            found = self._read()
            lease = ((found or {}).get("traffic") or {}).get("lease")
            if found is not None:
                self._lease_until = now + lease["left_s"] if lease else None
        self._live.update(self._draw(), refresh=True)

    def _draw(self) -> Group:
        left_s = max(0.0, self._lease_until - time.monotonic()) if self._lease_until is not None else None
        return draw(self._rollout, lease_left_s=left_s, lost=self._lost, now=datetime.now(UTC))


def draw(rollout: Rollout, *, lease_left_s: float | None, lost: str, now: datetime) -> Group:
    """One picture of a rollout."""
    title = Text(plain(rollout.release["title"]), style="bold")
    title.append(f"   {rollout.phase.replace('_', ' ')}", style=_PHASE_STYLES.get(rollout.phase, "cyan"))
    parts: list[RenderableType] = [title, _steps(rollout, now), _traffic(rollout), _evidence(rollout), _lease(lease_left_s)]
    if lost:
        parts.append(Text(f"{plain(lost)}; what is shown may be old", style="yellow"))
    if rollout.phase == "paused":
        parts.append(Text(f"waits for a person: productops resume {rollout.release['id']} --reason …", style="yellow"))
    return Group(*parts, Text(""), *(Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in rollout.story))


_PHASE_STYLES = {"promoted": "green", "passed": "green", "rolled_back": "red", "failed": "red", "rolling_back": "red", "paused": "yellow"}


def _steps(rollout: Rollout, now: datetime) -> Text:
    text = Text("steps     ")
    if not rollout.release["steps"]:
        return text.append("none: there is nothing to compare with")
    for step in rollout.release["steps"]:
        index = step["index"]
        verdict = rollout.verdicts.get(index)
        if verdict:
            mark, style = _MARKS[verdict]
            text.append(f"{mark} {step['title']}   ", style=style)
        elif index == rollout.step and rollout.step_began is not None and rollout.phase in {"rolling_out", "paused"}:
            held = max(0.0, (now - rollout.step_began).total_seconds())
            text.append(f"▶ {step['title']} {held:.0f}/{step['hold_s']:.0f} s   ", style="bold cyan")
        else:
            text.append(f"· {step['title']}   ", style="dim")
    return text


def _traffic(rollout: Rollout) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("", "version", "share", "requests/s", "failed", "p99"):
        table.add_column(column, justify="left" if column in {"", "version"} else "right", header_style="dim")
    shares = {"candidate": rollout.weight_pct, "baseline": 100 - rollout.weight_pct}
    versions = {"candidate": rollout.release["version"], "baseline": rollout.release["baseline_version"] or "–"}
    for name, arm in rollout.arms.items():
        rate = "–" if arm.rate is None else f"{arm.rate:.0f}"
        cells = (f"{name:<9}", plain(versions[name]), f"{shares[name]} %", rate, percent(arm.failure_ratio), milliseconds(arm.p99_ms))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _evidence(rollout: Rollout) -> Text:
    filled = round(BAR * min(1.0, max(0.0, rollout.log_e / rollout.threshold)))
    text = Text("evidence  ")
    text.append("█" * filled, style="red" if filled > BAR * 2 // 3 else "yellow")
    text.append("░" * (BAR - filled), style="dim")
    text.append(f"▏roll back   {evidence(rollout.log_e, rollout.threshold)}")
    if rollout.certified:
        text.append("   certified: no worse", style="green")
    return text


def _lease(left_s: float | None) -> Text:
    if left_s is None:
        return Text("lease     none: no traffic is on the candidate")
    return Text(f"lease     {left_s:.0f} s left, renewed while the flow lives")
