"""Command line: ``python -m examples.load --url http://127.0.0.1:8702 --host storefront.localhost --rate 100 --duration 60``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections import Counter
from datetime import UTC, datetime

from examples.load.model import SHOP_MIX, Action, LoadConfig, Response, Spacing
from examples.load.report import NO_VERSION, LoadReport
from examples.load.runner import run_load


def main() -> int:
    """Exit status 0 when at least one request was answered, 1 when none was, 2 when the arguments are wrong."""
    parser = _parser()
    arguments = parser.parse_args()
    try:
        config = _config(arguments)
    except ValueError as error:
        parser.error(str(error))
    report = asyncio.run(_run(config, progress=arguments.progress))
    print(json.dumps(report.to_json(), indent=2) if arguments.json else report.to_text())
    return 0 if report.statuses else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.load", description="Send users' load to a service.")
    parser.add_argument("--url", required=True, help="where to connect, e.g. http://127.0.0.1:8702")
    parser.add_argument("--host", default="", help="Host header, e.g. storefront.localhost (default: that of --url)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, open loop; 0 is a closed loop (default 100)")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds; 0 runs until interrupted (default 60)")
    parser.add_argument("--requests", type=int, help="end after this many requests")
    parser.add_argument("--users", type=int, default=200, help="users with cookies of their own (default 200)")
    parser.add_argument("--connections", type=int, help="connections at most (default 256, closed loop 32)")
    parser.add_argument("--spacing", choices=[s.value for s in Spacing], default="poisson", help="of arrivals (default poisson)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds after which an answer no longer counts (default 10)")
    parser.add_argument("--seed", type=int, help="makes users and arrivals repeatable")
    parser.add_argument("--path", action="append", help="GET this path instead of the shop's pages; may be repeated")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="send this header; may be repeated")
    parser.add_argument("--version-header", default="X-Shop-Version", help="response header that tells the version")
    parser.add_argument("--progress", action="store_true", help="a line every second on stderr")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _config(arguments: argparse.Namespace) -> LoadConfig:
    return LoadConfig(
        url=arguments.url,
        host=arguments.host,
        rate=arguments.rate,
        duration_s=arguments.duration or None,
        requests_max=arguments.requests,
        users=arguments.users,
        connections=arguments.connections,
        spacing=Spacing(arguments.spacing),
        timeout_s=arguments.timeout,
        seed=arguments.seed,
        mix=tuple(Action(path, path) for path in arguments.path) if arguments.path else SHOP_MIX,
        headers=tuple(_header(text) for text in arguments.header),
        version_header=arguments.version_header.lower(),
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"{text!r} is not NAME:VALUE")
    return name.strip(), value.strip()


async def _run(config: LoadConfig, *, progress: bool) -> LoadReport:
    """Run until the end or until SIGINT or SIGTERM, which also give a report."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    if not progress:
        return await run_load(config, stop=stop)
    ticker = Progress()
    task = loop.create_task(ticker.print_every_second())
    try:
        return await run_load(config, ticker.add, stop=stop)
    finally:
        task.cancel()


class Progress:
    """Counts the last second by version."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def add(self, response: Response) -> None:
        """Count one response."""
        version = response.version or NO_VERSION
        self._requests[version] += 1
        self._failures[version] += response.failed

    def line(self) -> str:
        """The second's counts; starts the next second."""
        parts = [f"{version}: {count} ({self._failures[version]} failed)" for version, count in sorted(self._requests.items())]
        self._requests.clear()
        self._failures.clear()
        return "   ".join(parts) or "nothing answered"

    async def print_every_second(self) -> None:
        """Print until cancelled."""
        while True:
            await asyncio.sleep(1)
            print(f"{datetime.now(UTC):%H:%M:%S}  {self.line()}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
