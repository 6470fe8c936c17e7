"""Brings a report here that a caller only names: a file of the folder they may name files of, or an address, never one of our network."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from productops.adapters.quality_files import safe_name
from productops.adapters.safe_address import is_forbidden, not_public, resolve
from productops.errors import DependencyError, InvalidInputError, NotFoundError

TIMEOUT_S = 10.0
WHOLE_S = 60.0
REDIRECTS_MAX = 3
CHUNK_BYTES = 65_536
_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class ReportFetcher:
    """Takes reports into ``to``, at most ``bytes_max`` of all together. ``folder``: where files may be named; None: nowhere."""

    to: Path
    folder: Path | None
    allow_private: bool
    bytes_max: int
    taken: int = 0

    def take(self, reference: str) -> Path:
        """One report by its address or its path below the folder.

        Raises: InvalidInputError for what may not be fetched, NotFoundError, DependencyError when the address does not answer.
        """
        if "://" in reference:
            return self._fetch(reference)
        return self._copy(reference)

    def _copy(self, reference: str) -> Path:
        if self.folder is None:
            raise InvalidInputError(
                "no file of this machine may be named; set PRODUCTOPS_QUALITY_REPORTS to the folder of those that may be"
            )
        top = self.folder.resolve()
        source = (top / reference).resolve()
        if not source.is_relative_to(top):
            raise InvalidInputError(f"{reference[:200]!r} leads out of the folder of reports")
        if not source.is_file():
            raise NotFoundError(f"there is no report {reference[:200]!r} in the folder of reports; name one file")
        self._count(source.stat().st_size)
        kept = self._place(source.relative_to(top).as_posix())
        shutil.copyfile(source, kept)
        return kept

    def _place(self, name: str) -> Path:
        """A free place in ``to``; a second file of one name gets a number."""
        wanted = self.to / safe_name(name)
        place, number = wanted, 1
        while place.exists():
            number += 1
            place = wanted.with_name(f"{number}-{wanted.name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _count(self, size: int) -> None:
        self.taken += size
        if self.taken > self.bytes_max:
            raise InvalidInputError(
                f"the reports have more than {self.bytes_max:,} bytes together; set PRODUCTOPS_QUALITY_UPLOAD_MB or send fewer"
            )

    def _fetch(self, url: str) -> Path:
        deadline = time.monotonic() + WHOLE_S
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._get(url, deadline)
            if isinstance(answer, Path):
                return answer
            url = urljoin(url, answer)
        raise DependencyError(f"{_shown(url)} leads on and on; {REDIRECTS_MAX} redirections are followed")

    def _get(self, url: str, deadline: float) -> Path | str:
        """The report, or where it has moved."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" and not (self.allow_private and parts.scheme == "http"):
            raise InvalidInputError(f"{_shown(url)}: only https:// addresses are fetched")
        if parts.username or parts.password:
            raise InvalidInputError(f"{_shown(url)}: an address with a user is not fetched; it would be kept with the run")
        # The name is looked up once, and that very address is connected to: it may lead elsewhere a moment later.
        address = self._address(host, parts.port or (443 if parts.scheme == "https" else 80))
        headers = {"Host": parts.netloc, "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "productops"}
        pinned = httpx.URL(url).copy_with(host=address)
        try:
            with (
                httpx.Client(trust_env=False, timeout=TIMEOUT_S, follow_redirects=False) as client,
                client.stream("GET", pinned, headers=headers, extensions={"sni_hostname": host}) as answer,
            ):
                return self._answer(answer, url, deadline)
        except httpx.HTTPError as error:
            raise DependencyError(f"{_shown(url)} did not answer ({error or type(error).__name__})") from error

    def _answer(self, answer: httpx.Response, url: str, deadline: float) -> Path | str:
        if answer.status_code in _MOVED and "location" in answer.headers:
            return str(answer.headers["location"])
        if answer.status_code != 200:
            raise DependencyError(f"{_shown(url)} answered {answer.status_code} instead of a report")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise DependencyError(f"{_shown(url)} sent compressed content, which was not asked for")
        kept = self._place(Path(unquote(urlsplit(url).path)).name or "report")
        with kept.open("wb") as file:
            for chunk in answer.iter_raw(CHUNK_BYTES):
                self._count(len(chunk))
                file.write(chunk)
                if time.monotonic() > deadline:
                    raise DependencyError(f"{_shown(url)} did not send its report within {WHOLE_S:g} s")
            os.fsync(file.fileno())
        return kept

    def _address(self, host: str, port: int) -> str:
        """The address to connect to."""
        try:
            addresses = resolve(host, port)
        except OSError as error:
            raise NotFoundError(f"the name {host[:200]!r} of a report's address is not known: {error}") from error
        if any(is_forbidden(address) for address in addresses):
            raise InvalidInputError(f"{host!r} is refused: a link-local address may be a cloud's metadata service, which holds credentials")
        if not self.allow_private and (address := not_public(addresses)):
            raise InvalidInputError(
                f"{host!r} leads to {address}, which is no public address; set PRODUCTOPS_QUALITY_ALLOW_PRIVATE=true to fetch from there"
            )
        return addresses[0]


def _shown(url: str) -> str:
    """The address without its query, which often is a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"[:300]
