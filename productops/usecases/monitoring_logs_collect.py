"""Collects what instances on this machine write: read where it stopped, put together, and stored with how far it was read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from productops.adapters.local_process.logs import plain_line
from productops.adapters.monitoring_logs_tail import FileTail, Part
from productops.domain.monitoring_logs import LogLine, LogOffset, LogOrigin
from productops.domain.monitoring_logs_errors import LineJoiner
from productops.domain.monitoring_logs_parse import parse
from productops.domain.traffic import Instance
from productops.usecases.context import Context
from productops.usecases.monitoring_logs_intake import LogIntake

LINES_AT_ONCE = 20_000
AFTER_END_S = 30.0
"""A file is followed for so long after its instance has stopped: its last words are worth most."""


@dataclass(slots=True)
class _File:
    """The output of one instance. ``open_at`` is where the record begins that may go on."""

    origin: LogOrigin
    tail: FileTail
    joiner: LineJoiner = field(default_factory=LineJoiner)
    open_at: int = 0
    quiet: int = 0
    ended_at: float | None = None


@dataclass(slots=True)
class LogCollector:
    """One on each machine with instances. ``turn`` is called again and again; what it could not store it reads again."""

    context: Context
    intake: LogIntake
    _files: dict[str, _File] = field(default_factory=dict)
    _venture: dict[str, str] = field(default_factory=dict)

    def turn(self) -> int:
        """Read what is new, once; returns how many lines were stored. Raises: StoreUnavailableError."""
        self._look()
        lines: list[LogLine] = []
        offsets: dict[str, LogOffset] = {}
        try:
            for instance in list(self._files):
                file = self._files[instance] = self._files.pop(instance)  # to the end: one that writes much keeps no other waiting
                before = len(lines)
                part = file.tail.read()
                lines += self._records(file, part)
                if part.lines or len(lines) > before:
                    offsets[instance] = file.tail.move(file.open_at)
                if len(lines) >= LINES_AT_ONCE:
                    break
            self.intake.take(lines, offsets=offsets)
        except Exception:
            self._files.clear()  # what was read is not stored: begin where the store says
            raise
        self._end()
        return len(lines)

    # ---- which files

    def _look(self) -> None:
        with self.context.store.read() as unit:
            living = {each.id: each for each in unit.fleets.instances()}
            fresh = [each for key, each in living.items() if key not in self._files and each.log_path and Path(each.log_path).is_file()]
            if fresh:
                known = unit.logs.offsets()
                self._venture = {service.name: service.venture for service in unit.catalog.services()}
        for each in fresh:
            self._follow(each, known.get(each.id))
        now = self.context.clock.monotonic()
        for key, file in self._files.items():
            if key in living:
                file.ended_at = None
            elif file.ended_at is None:
                file.ended_at = now

    def _follow(self, instance: Instance, at: LogOffset | None) -> None:
        venture = self._venture.get(instance.service)
        if venture is None:
            return
        origin = LogOrigin(venture, instance.service, instance.environment, instance.version, instance.id)
        tail = FileTail(Path(instance.log_path), at or LogOffset(instance.log_path))
        self._files[instance.id] = _File(origin, tail, open_at=tail.at.offset)

    def _end(self) -> None:
        now = self.context.clock.monotonic()
        for key in [k for k, f in self._files.items() if f.ended_at is not None and now - f.ended_at > AFTER_END_S]:
            del self._files[key]

    # ---- what is in them

    def _records(self, file: _File, part: Part) -> list[LogLine]:
        """Whole records; the last one waits for one more turn, since it may go on."""
        received_us = int(self.context.clock.now().timestamp() * 1e6)
        records: list[str] = []
        if part.fresh:
            records += filter(None, [file.joiner.flush()])
            file.open_at = part.begin
        begin = part.begin
        for text, end in part.lines:
            record = file.joiner.feed(plain_line(text))
            if record is not None:
                records.append(record)
                file.open_at = begin
            begin = end
        file.quiet = 0 if part.lines else file.quiet + 1
        if file.quiet and file.joiner.waiting:
            records += filter(None, [file.joiner.flush()])
            file.open_at = file.tail.at.offset
        return [_line(file.origin, record, received_us) for record in records if record.strip()]


def _line(origin: LogOrigin, record: str, received_us: int) -> LogLine:
    parsed = parse(record, received_us=received_us)
    return LogLine(origin, parsed.at_us, parsed.level, parsed.text, parsed.trace_id)
