"""Events brought in from files, Mixpanel and Amplitude, through the command, to a real API."""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from productops.adapters.analytics_amplitude import AmplitudeExport
from productops.adapters.analytics_events_http import Part
from productops.adapters.analytics_mixpanel import MixpanelExport
from productops.cli.main import app
from productops.errors import EventSourceBusyError, EventSourceError, ProductOpsError, SettingsError
from productops.logs import set_up_logs
from productops.settings import Settings
from productops.usecases.analytics_events_read import read_events
from productops.usecases.context import Context
from tests.integration.test_api.support import TOKEN, free_ports, serving
from tests.support import make_context, sqlite_url

DAY = timedelta(days=1)
FIRST = (datetime.now(UTC) - 3 * DAY).date()
SECRET = "robot:a-long-secret"


@dataclass
class Elsewhere:
    """A server that speaks as Mixpanel and Amplitude do. ``troubles``: answers that come first."""

    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    troubles: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    broken_day: str = ""


def mixpanel_day(day: str) -> bytes:
    at = int(datetime.fromisoformat(f"{day}T10:00:00+00:00").timestamp())
    lines = [
        {"event": "song.played", "properties": {"time": at + n, "distinct_id": f"u-{n}", "$insert_id": f"{day}-{n}", "$os": "iOS",
                                                "mp_country_code": "NZ", "$city": "Nelson", "title": "La"}}
        for n in range(1500)
    ]  # fmt: skip
    return "\n".join(json.dumps(line) for line in lines).encode()


def amplitude_hour(hour: str) -> bytes:
    at = datetime.strptime(hour, "%Y%m%dT%H").replace(tzinfo=UTC)
    lines = [
        {"event_type": "song.played", "event_time": f"{at:%Y-%m-%d %H:%M:%S}.000000", "user_id": f"u-{n}", "device_id": "d",
         "session_id": -1, "$insert_id": f"{hour}-{n}", "ip_address": "203.0.113.9", "event_properties": {"title": "La"},
         "version_name": "2.1"}
        for n in range(3)
    ]  # fmt: skip
    packed = gzip.compress("\n".join(map(json.dumps, lines)).encode())
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(f"1234/1234_{hour}#0.json.gz", packed)
    return made.getvalue()


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    found = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            found.asked.append(query | {"authorization": self.headers.get("authorization", "")})
            status, headers, content = found.troubles.pop(0) if found.troubles else self._answer(parts.path, query)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _answer(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
            if path == "/api/2.0/export":
                cut = b"\nterminated early" if query["from_date"] == found.broken_day else b""
                return 200, {}, mixpanel_day(query["from_date"]) + cut
            if path == "/api/2/export" and query["start"].endswith(("T10", "T11")):
                return 200, {}, amplitude_hour(query["start"])
            return 404, {}, b"no data"

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def far() -> Iterator[Elsewhere]:
    with elsewhere() as found:
        yield found


@dataclass
class Door:
    context: Context
    settings: Settings

    def command(self, *words: str) -> Result:
        result = CliRunner().invoke(app, ["events", *words, "--home", str(self.settings.home), "--api-url", self.settings.api_url])
        if result.exception is not None and not isinstance(result.exception, SystemExit | ProductOpsError):
            raise result.exception
        return result

    def names(self) -> dict[str, int]:
        now = datetime.now(UTC)
        table = read_events(self.context, "apollo", since=now - 30 * DAY, until=now + DAY, columns=["name"])
        names = table.column("name").to_pylist()
        return {name: names.count(name) for name in set(names)}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("imports")
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    (folder / "secrets").mkdir()
    for name in ("MIXPANEL", "AMPLITUDE"):
        (folder / "secrets" / f"PRODUCTOPS_SECRET_{name}").write_text(SECRET)
        (folder / "secrets" / f"PRODUCTOPS_SECRET_{name}").chmod(0o600)
    settings = Settings(home=folder, port_base=free_ports(), api_token=TOKEN, database_url=sqlite_url(folder))  # type: ignore[arg-type]
    context = replace(make_context(sqlite_url(folder)), analytics_folder=settings.analytics_folder)
    set_up_logs(Settings(log_level="ERROR"), program="api")  # standard output is the command's
    with serving(context, settings):
        yield Door(context, settings)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_mixpanel_days_come_in_once_and_a_broken_import_goes_on_where_it_was(door: Door, far: Elsewhere) -> None:
    days = ("--since", FIRST.isoformat(), "--until", (FIRST + DAY).isoformat())
    far.broken_day = (FIRST + DAY).isoformat()
    words = ("import", "--venture", "apollo", "--from", "mixpanel", "--project", "77", "--source-url", far.url, *days)
    broken = door.command(*words)
    assert isinstance(broken.exception, EventSourceError)
    assert "terminated early" in str(broken.exception)
    far.broken_day = ""
    done = door.command(*words)
    assert done.exit_code == 0, done.output
    assert [each["from_date"] for each in far.asked] == [FIRST.isoformat(), far.asked[1]["from_date"], (FIRST + DAY).isoformat()]
    assert door.names()["song.played"] == 3000
    assert "1,000 known already" in done.output
    assert all(each["project_id"] == "77" and each["authorization"].startswith("Basic ") for each in far.asked)
    status = json.loads(door.command("status", "--venture", "apollo", "--json").stdout)
    assert (status["imports"][0]["state"], status["imports"][0]["accepted"]) == ("done", 3000)


def test_amplitude_hours_come_in_without_addresses(door: Door, far: Elsewhere) -> None:
    before = door.names().get("song.played", 0)
    words = ("import", "--venture", "apollo", "--from", "amplitude", "--source-url", far.url, "--since", FIRST.isoformat())
    done = door.command(*words, "--until", FIRST.isoformat(), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["accepted"] == 6
    assert (len(far.asked), door.names()["song.played"]) == (24, before + 6)
    now = datetime.now(UTC)
    table = read_events(door.context, "apollo", since=now - 30 * DAY, until=now, columns=["properties", "version"])
    assert not any("203.0.113.9" in text for text in table.column("properties").to_pylist())
    assert "2.1" in table.column("version").to_pylist()


def read_all(export: MixpanelExport | AmplitudeExport) -> list[Part]:
    return list(export.read(since=FIRST, until=FIRST, cursor={}))


def test_limits_are_kept_and_errors_are_told_without_the_secret(far: Elsewhere) -> None:
    waits: list[float] = []
    far.troubles = [(429, {"retry-after": "7"}, b"slow down"), (503, {}, b"oops")]
    parts = read_all(MixpanelExport(SECRET, where="x", url=far.url, wait=waits.append))
    assert (sum(len(part.events) for part in parts), waits) == (1500, [7.0, 2.0])
    assert parts[-1].cursor == {"day": (FIRST + DAY).isoformat()}
    far.troubles = [(401, {}, b"wrong a-long-secret")]
    with pytest.raises(EventSourceError, match="401") as refused:
        read_all(AmplitudeExport(SECRET, where="x", url=far.url, wait=waits.append))
    assert "a-long-secret" not in str(refused.value)
    far.troubles = [(429, {"retry-after": "9000"}, b"")]
    with pytest.raises(EventSourceBusyError, match="goes on where it was"):
        read_all(MixpanelExport(SECRET, where="x", url=far.url, wait=waits.append))
    far.troubles = [(200, {}, b"no zip")]
    with pytest.raises(EventSourceError, match="no zip"):
        read_all(AmplitudeExport(SECRET, where="x", url=far.url, wait=waits.append))
    with pytest.raises(SettingsError, match="name:secret"):
        MixpanelExport("nothing", where="PRODUCTOPS_SECRET_MIXPANEL", url=far.url)


def test_files_of_all_kinds_are_brought_in_and_a_second_time_changes_nothing(door: Door, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    at = (datetime.now(UTC) - DAY).replace(microsecond=0)
    rows = [{"user": f"u-{n}", "what": "file.row", "when": at + timedelta(seconds=n), "total": n} for n in range(2500)]
    cells = [f"u-{n},file.row,{at + timedelta(hours=1, seconds=n)},{n}\n" for n in range(2500)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    with gzip.open(tmp_path / "rows.csv.gz", "wt") as file:
        file.write("user,what,when,total\n" + "".join(cells))
    line = json.dumps({"event": "file.row", "userId": "x", "timestamp": at.isoformat(), "properties": {}})
    (tmp_path / "rows.ndjson").write_text(f"{line}\n{{}}\n")
    maps = [word for pair in ("userId=user", "event=what", "timestamp=when") for word in ("--map", pair)]
    files = [str(tmp_path / name) for name in ("rows.parquet", "rows.csv.gz")]
    for accepted in (2500, 0):
        done = door.command("import", *files, "--venture", "apollo", *maps, "--json")
        assert done.exit_code == 0, done.output
        assert [json.loads(line)["accepted"] for line in done.stdout.splitlines()] == [accepted, accepted]
    some = door.command("import", str(tmp_path / "rows.ndjson"), "--venture", "apollo")
    assert (some.exit_code, some.stdout.splitlines()[0]) == (3, "1 accepted, 0 known already, 1 refused")
    assert door.names()["file.row"] == 5001


def test_the_commands_show_and_erase(door: Door) -> None:
    schema = door.command("schema", "--venture", "apollo")
    assert schema.exit_code == 0, schema.output
    assert "event" in schema.stdout or "no events" in schema.stdout
    assert door.command("status", "--venture", "apollo").exit_code == 0
    assert door.command("tail", "--venture", "apollo", "--limit", "3").exit_code == 0
    erased = door.command("erase", "--venture", "apollo", "--person", "nobody", "--wait", "0", "--json")
    assert (erased.exit_code, json.loads(erased.stdout)["state"]) == (0, "waiting")
    assert isinstance(door.command("import", "--venture", "apollo").exception, ProductOpsError)
