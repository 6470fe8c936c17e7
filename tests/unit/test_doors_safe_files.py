"""Archives, XML and addresses that others chose."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from productops.adapters.safe_address import is_forbidden, is_public, not_public, resolve
from productops.adapters.safe_archive import Limits, read_archive, unpack_archive
from productops.adapters.safe_xml import parse_xml
from productops.errors import InvalidInputError

SMALL = Limits(bytes_max=3_000_000, file_bytes_max=2_000_000, files_max=5, ratio_max=20, ratio_free_bytes=100_000)


def zipped(*files: tuple[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return made.getvalue()


def tarred(*entries: tarfile.TarInfo, mode: str = "w:gz", content: bytes = b"x") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_ordinary_archives_are_read_and_unpacked(tmp_path: Path, mode: str) -> None:
    made = unpack_archive(tarred(entry("a/b.txt"), entry("c.txt"), mode=mode), tmp_path, what="reports.tar")
    assert [path.relative_to(tmp_path).as_posix() for path in made] == ["a/b.txt", "c.txt"]
    assert (tmp_path / "a/b.txt").read_bytes() == b"x"
    files = list(read_archive(zipped(("junit/a.xml", b"<a/>"), ("folder/", b"")), what="reports.zip"))
    assert [(file.name, file.content) for file in files] == [("junit/a.xml", b"<a/>")]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../evil", "C:\\evil", "a\\b", "bad\nname"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    for content in (zipped((name, b"x")), tarred(entry(name))):
        with pytest.raises(InvalidInputError, match="would land elsewhere"):
            unpack_archive(content, tmp_path, what="reports")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InvalidInputError, match="only plain files"):
        unpack_archive(tarred(entry("a", kind, "/etc/passwd")), tmp_path, what="reports")


def test_a_link_in_a_zip_is_refused() -> None:
    link = zipfile.ZipInfo("a")
    link.external_attr = 0o120777 << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InvalidInputError, match="only plain files"):
        list(read_archive(made.getvalue(), what="reports"))


def test_bombs_are_stopped_while_they_go_off() -> None:
    for content in (zipped(("bomb", bytes(1_900_000))), tarred(entry("bomb"), content=bytes(1_900_000))):
        assert len(content) < 10_000
        with pytest.raises(InvalidInputError, match="unpacks to more"):
            list(read_archive(content, what="reports", limits=SMALL))
    with pytest.raises(InvalidInputError, match="more than 5 files"):
        list(read_archive(zipped(*((f"{n}", b"") for n in range(6))), what="reports", limits=SMALL))
    with pytest.raises(InvalidInputError, match="twice"):
        list(read_archive(zipped(("a", b""), ("A", b"")), what="reports"))
    with pytest.raises(InvalidInputError, match="at most"):
        list(read_archive(b"x" * 20, what="reports", limits=Limits(packed_bytes_max=10)))


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all", zipped(("a", b"x"))[:-10], b"PK\x03\x04 broken"], ids=["empty", "text", "cut off", "broken"]
)
def test_what_is_no_archive_is_a_plain_error(content: bytes) -> None:
    with pytest.raises(InvalidInputError, match="no archive"):
        list(read_archive(content, what="reports"))


def test_xml_is_read_with_namespaces_and_without_entities() -> None:
    root = parse_xml(b'<?xml version="1.0"?><suite xmlns="urn:x" name="a"><case/><case/></suite>', what="junit.xml")
    assert (root.tag, root.get("name"), len(root)) == ("{urn:x}suite", "a", 2)
    assert parse_xml(b"<!DOCTYPE coverage SYSTEM 'http://x/coverage.dtd'><coverage/>", what="cobertura.xml").tag == "coverage"


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE a [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]><a>&lol2;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x">%x;]><a/>',
    ],
)
def test_entities_are_never_expanded_or_fetched(content: bytes) -> None:
    with pytest.raises(InvalidInputError, match="declares entities"):
        parse_xml(content, what="junit.xml")


def test_xml_has_limits() -> None:
    with pytest.raises(InvalidInputError, match="at most"):
        parse_xml(b"<a/>" + b" " * 100, what="x", bytes_max=50)
    with pytest.raises(InvalidInputError, match="too many elements"):
        parse_xml(b"<a>" + b"<b/>" * 50 + b"</a>", what="x", elements_max=20)
    with pytest.raises(InvalidInputError, match="too many elements"):
        parse_xml(b"<a>" * 200 + b"</a>" * 200, what="x")
    for broken in (b"<a>", b"", b"\xff\xfe", b"<a/><b/>"):
        with pytest.raises(InvalidInputError, match="is no XML"):
            parse_xml(broken, what="x")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "::1", "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.1",
     "2002:7f00:1::", "64:ff9b::7f00:1", "224.0.0.1", "0.0.0.0"],
)  # fmt: skip
def test_addresses_of_our_own_networks_are_not_public_however_they_are_written(address: str) -> None:
    assert not is_public(address)
    assert not_public(["93.184.216.34", address]) == address


def test_public_addresses_are() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:4700:4700::1111")
    assert is_forbidden("64:ff9b::a9fe:a9fe")
    assert not is_forbidden("10.0.0.1")
    assert "127.0.0.1" in resolve("localhost", 80)
    with pytest.raises(OSError, match=r"."):
        resolve("a" * 70 + ".example", 80)
