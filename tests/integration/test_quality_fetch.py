"""Reports that a caller only names, from a real folder and a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from productops.adapters.quality_fetch import ReportFetcher
from productops.errors import DependencyError, InvalidInputError, NotFoundError

JUNIT = b'<testsuite name="s"><testcase classname="c" name="t"/></testsuite>'


class Handler(BaseHTTPRequestHandler):
    """A build's artefacts."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/junit.xml?signature=geheim")
        elif self.path == "/metadata":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
        elif self.path.startswith("/junit.xml"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(JUNIT)))
        else:
            self.send_response(404)
        self.end_headers()
        if self.path.startswith("/junit.xml"):
            self.wfile.write(JUNIT)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def to(tmp_path: Path) -> Path:
    folder = tmp_path / "to"
    folder.mkdir()
    return folder


def fetcher(to: Path, *, folder: Path | None = None, private: bool = True, bytes_max: int = 10_000) -> ReportFetcher:
    return ReportFetcher(to, folder, private, bytes_max)


def test_an_address_is_followed_where_it_moved(server: str, to: Path) -> None:
    kept = fetcher(to).take(f"{server}/moved")
    assert (kept.name, kept.read_bytes()) == ("junit.xml", JUNIT)


def test_two_reports_of_one_name_stay_two(server: str, to: Path) -> None:
    found = fetcher(to)
    assert {found.take(f"{server}/junit.xml").name, found.take(f"{server}/junit.xml").name} == {"junit.xml", "2-junit.xml"}


def test_our_own_network_is_closed_unless_a_setting_opens_it(server: str, to: Path) -> None:
    with pytest.raises(InvalidInputError, match="only https"):
        fetcher(to, private=False).take(f"{server}/junit.xml")
    with pytest.raises(InvalidInputError, match="PRODUCTOPS_QUALITY_ALLOW_PRIVATE"):
        fetcher(to, private=False).take("https://127.0.0.1:1/junit.xml")


def test_a_redirection_does_not_lead_to_a_clouds_metadata(server: str, to: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds credentials"):
        fetcher(to).take(f"{server}/metadata")


def test_a_report_that_is_not_there_is_no_empty_one(server: str, to: Path) -> None:
    with pytest.raises(DependencyError, match="answered 404 instead of a report"):
        fetcher(to).take(f"{server}/nothing.xml")


def test_the_limit_is_of_all_reports_together(server: str, to: Path) -> None:
    found = fetcher(to, bytes_max=len(JUNIT) + 10)
    found.take(f"{server}/junit.xml")
    with pytest.raises(InvalidInputError, match="PRODUCTOPS_QUALITY_UPLOAD_MB"):
        found.take(f"{server}/junit.xml")


def test_a_user_in_an_address_is_refused_because_it_would_be_kept(to: Path) -> None:
    with pytest.raises(InvalidInputError, match="with a user"):
        fetcher(to).take("https://mia:geheim@example.com/junit.xml")


def test_files_come_from_the_folder_of_reports_only(tmp_path: Path, to: Path) -> None:
    folder = tmp_path / "reports"
    (folder / "web").mkdir(parents=True)
    (folder / "web/junit.xml").write_bytes(JUNIT)
    (tmp_path / "secret.xml").write_bytes(JUNIT)
    (folder / "link.xml").symlink_to(tmp_path / "secret.xml")
    assert fetcher(to, folder=folder).take("web/junit.xml").relative_to(to).as_posix() == "web/junit.xml"
    for outside in ("../secret.xml", "link.xml", str(tmp_path / "secret.xml")):
        with pytest.raises(InvalidInputError, match="leads out of the folder"):
            fetcher(to, folder=folder).take(outside)
    with pytest.raises(NotFoundError, match="there is no report"):
        fetcher(to, folder=folder).take("web")
    with pytest.raises(InvalidInputError, match="PRODUCTOPS_QUALITY_REPORTS"):
        fetcher(to).take("web/junit.xml")
