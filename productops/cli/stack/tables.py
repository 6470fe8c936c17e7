"""Tables for people."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from productops.cli.stack.doctor import Finding
from productops.cli.stack.state import ProcessRecord
from productops.cli.stack.status import StackStatus

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def ready_table(records: Iterable[ProcessRecord]) -> str:
    """What runs where."""
    rows = [(record.name, str(record.pid), record.address or "–", record.purpose, record.log) for record in records]
    return render(("process", "pid", "address", "what for", "log"), rows)


def render(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ("pid",)) -> str:
    """A table as plain text as wide as the terminal, or as wide as it needs where there is none."""
    told = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        # Keys are copied into the next command: they stay in one piece, and sentences give way.
        whole = any(UUID.fullmatch(row[place]) for row in told)
        table.add_column(column, justify="right" if column in right else "left", overflow="fold", no_wrap=whole)
    for row in told:
        table.add_row(*row)
    width = shutil.get_terminal_size((200, 24)).columns
    text = io.StringIO()
    console = Console(file=text, width=max(width, 100), color_system=None, markup=False, highlight=False)
    console.print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def status_table(status: StackStatus) -> str:
    """What each process does."""
    rows = [
        (
            each.name,
            each.state + (f" after {each.last_exit}" if each.last_exit and each.state != "running" else ""),
            "yes" if each.healthy else "NO",
            str(each.pid or "–"),
            _duration(each.uptime_s),
            str(each.restarts),
            f"{each.rss_bytes / 1e6:.0f} MB",
            f"{each.cpu_pct:.1f} %",
            each.address or "–",
        )
        for each in status.processes
    ]
    columns = ("process", "state", "healthy", "pid", "up", "restarts", "memory", "cpu", "address")
    table = render(columns, rows, right=("pid", "up", "restarts", "memory", "cpu"))
    others = f" · {status.others} flow runs, instances and others" if status.others else ""
    summary = f"{status.phase} · home {status.home} · {status.rss_bytes / 1e6:.0f} MB, {status.cpu_pct:.1f} % of one core in all{others}"
    return f"{table}\n{summary}"


def findings_table(findings: Iterable[Finding]) -> str:
    """What doctor found."""
    shown = {"ok": "ok", "note": "note", "wrong": "WRONG"}
    rows = [(shown[each.judgement], each.check, each.detail, each.mend) for each in findings]
    return render(("", "check", "found", "mend"), rows)


def _duration(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"
