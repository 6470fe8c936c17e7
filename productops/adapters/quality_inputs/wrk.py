"""The text that wrk and wrk2 print."""

from __future__ import annotations

import re
from pathlib import Path

from productops.adapters.quality_inputs.numbers import number_of
from productops.adapters.quality_inputs.samples import Samples
from productops.adapters.quality_inputs.source import Notes, Source, clean_text, lines, refusal
from productops.domain.quality import Parsed

FORMAT = "wrk"

BEGINNING = re.compile(r"\s*Running \S+ test @ ")
_AMOUNT = re.compile(r"([0-9.]+)(us|ms|s|m|h)?$")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_SHARE = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)%\s+(\S+)\s*$")
_REQUESTS = re.compile(r"\s*(\d+) requests in (\S+),")
_SOCKETS = re.compile(r"\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


def read(given: Path | bytes, name: str = "") -> Parsed:
    """Latencies in seconds, throughput and errors. Raises: QualityInputError for what is no output of wrk, or ends before its result."""
    source, notes = Source.of(given, name), Notes()
    samples = Samples(notes, lambda reason: refusal(source.name, reason))
    text = [clean_text(line) for _, line in lines(source, notes)]
    if not any(BEGINNING.match(line) for line in text[:50]):
        raise refusal(source.name, "is no output of wrk: no line says 'Running … test @ …'")
    rates = [line for line in text if line.startswith("Requests/sec:")]
    if not rates:
        raise refusal(source.name, "ends in the middle: wrk's last lines (Requests/sec) are missing", f"line {len(text)}")
    for rate in rates:
        samples.add("requests per second", "1/s", number_of(rate.partition(":")[2]), higher_is_better=True)
    for line in text:
        _latency(samples, line)
    _errors(samples, text)
    return Parsed(formats=(FORMAT,), series=samples.all(), skipped=notes.all())


def _latency(samples: Samples, line: str) -> None:
    share = _SHARE.match(line)
    if share:
        samples.add(f"latency p{share[1].removesuffix('.000')}", "s", _seconds(share[2]), higher_is_better=False, where=line.strip()[:80])
    elif line.strip().startswith("Latency  "):
        words = line.split()
        if len(words) >= 4:
            samples.add("latency mean", "s", _seconds(words[1]), higher_is_better=False)
            samples.add("latency max", "s", _seconds(words[3]), higher_is_better=False)


def _errors(samples: Samples, text: list[str]) -> None:
    """Wrk prints errors only when there are some: no line means none."""
    requests = sum(int(found[1][:15]) for found in map(_REQUESTS.match, text) if found)
    sockets = sum(int(number[:15]) for found in map(_SOCKETS.match, text) if found for number in found.groups())
    answers = sum(int(number_of(line.partition(":")[2]) or 0) for line in text if line.strip().startswith("Non-2xx or 3xx responses:"))
    samples.add("requests", "1", float(requests), higher_is_better=None)
    samples.add("socket errors", "1", float(sockets), higher_is_better=False)
    samples.add("answers other than 2xx and 3xx", "1", float(answers), higher_is_better=False)


def _seconds(written: str) -> float | None:
    found = _AMOUNT.match(written)
    amount = number_of(found[1]) if found else None
    return amount * _SECONDS[found[2]] if found and amount is not None else None
