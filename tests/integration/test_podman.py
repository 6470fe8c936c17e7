"""The target port on real containers: a Podman of the tests' own, with images made here from a static busybox."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from productops.adapters.local_process import LocalProcessTarget
from productops.adapters.local_process.processes import LocalProcess
from productops.adapters.podman import PodmanTarget
from productops.domain.catalog import Service
from productops.domain.routing import Endpoint
from productops.errors import DependencyError, NotFoundError, UnsupportedError
from tests.integration.envoy_support import LOOPBACK, eventually, free_port
from tests.support import PRODUCTION

SERVE = ["/bin/sh", "-c", "trap 'exit 0' TERM; echo serving $PRODUCTOPS_VERSION on {port}; httpd -f -p 127.0.0.1:{port} -h /www & wait"]
LIMITS = {"nofile": 1024, "nproc": 4096}
CONF = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


@dataclass
class Engine:
    """A Podman service with its own storage."""

    socket: Path
    folder: Path

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("engine", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(self.socket))
        try:
            connection.request(method, path, body, {"content-type": "application/x-tar"} if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def make_image(self, name: str, files: dict[str, bytes]) -> None:
        """An image of busybox and ``files``."""
        repository, tag = name.split(":")
        status, said = self.ask("POST", f"/v1.41/images/create?fromSrc=-&repo={repository}", rootfs(files))
        assert status == 200, said
        status, said = self.ask("POST", f"/v1.41/images/{json.loads(said)['id'].removeprefix('sha256:')}/tag?repo={repository}&tag={tag}")
        assert status == 201, said


def rootfs(files: dict[str, bytes]) -> bytes:
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("bin", "www", "tmp", "proc", "dev", "etc"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, content in {"bin/busybox": busybox, **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        for name in ("sh", "httpd", "sleep", "echo"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return packed.getvalue()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    for program, package in (("podman", "podman"), ("runc", "runc"), ("busybox", "busybox-static")):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here: apt-get install --no-install-recommends {package}")
    if os.geteuid() != 0:
        pytest.skip("containers of these tests need root")
    folder = Path(tempfile.mkdtemp(prefix="po-podman-"))  # Podman takes a run root of at most 50 characters
    (folder / "containers.conf").write_text(CONF)
    place = folder / "p.sock"
    command = ["podman", "--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
    with (folder / "podman.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "system", "service", "--time=0", f"unix://{place}"], stdout=log, stderr=log,
            env={**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")},
        )  # fmt: skip
    try:
        if not eventually(place.exists, within_s=20):
            pytest.skip(f"Podman does not start here: {(folder / 'podman.log').read_text()[-500:]}")
        made = Engine(place, folder)
        for version in ("1.0.0", "1.1.0"):
            made.make_image(f"localhost/shop:{version}", {"www/healthz": b"ok\n", "www/version": version.encode()})
        yield made
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def target(engine: Engine, home: Path) -> Iterator[PodmanTarget]:
    made = PodmanTarget(home, socket=engine.socket, pull=False, ulimits=LIMITS)
    try:
        runs(made, engine)
        yield made
        for process in made.find().values():
            made.stop(process.pid, process.started, kill=True)
        assert eventually(lambda: not made.find())
        made.trim_logs(10_000)
    finally:
        made.close()


def runs(target: PodmanTarget, engine: Engine) -> None:
    """Skip, saying why, where this machine lets no container run."""
    instance = str(uuid.uuid4())
    try:
        target.start(shop(command=["/bin/sleep", "60"]), PRODUCTION, "1.0.0", instance_id=instance, port=free_port())
    except DependencyError as error:
        pytest.skip(f"containers do not run here: {str(error)[:300]}")
    engine.ask("DELETE", f"/v1.41/containers/productops-{instance}?force=true")


def shop(*, command: list[str] | None = None, image: str = "localhost/shop:{version}", env: dict[str, str] | None = None) -> Service:
    spec = {"run": {"command": command or SERVE, "versions": {"kind": "image", "image": image}, "env": env or {}}}
    return Service.model_validate({"name": "shop", "venture": "apollo", "spec": spec, "base": "/nowhere", "revision": 1})


def start(target: PodmanTarget, version: str = "1.0.0", *, service: Service | None = None) -> tuple[str, int, LocalProcess]:
    instance, port = str(uuid.uuid4()), free_port()
    return instance, port, target.start(service or shop(), PRODUCTION, version, instance_id=instance, port=port)


def fetch(port: int, path: str) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_two_versions_run_side_by_side_and_answer(target: PodmanTarget) -> None:
    for version in ("1.0.0", "1.1.0"):
        began = time.perf_counter()
        _, port, process = start(target, version)
        assert eventually(lambda port=port: target.healthy(shop(), Endpoint(LOOPBACK, port)), within_s=10)  # type: ignore[misc]
        print(f"{version}: healthy after {1000 * (time.perf_counter() - began):.0f} ms")
        assert fetch(port, "/version") == version
        assert target.alive(process.pid, process.started)


def test_an_agent_that_starts_after_a_crash_finds_and_stops_what_runs(target: PodmanTarget, engine: Engine, home: Path) -> None:
    instance, port, process = start(target)
    again = PodmanTarget(home, socket=engine.socket, ulimits=LIMITS)
    assert again.find() == {instance: process}
    assert again.alive(process.pid, process.started)
    assert not again.alive(process.pid, process.started - 5)
    assert eventually(lambda: target.healthy(shop(), Endpoint(LOOPBACK, port)), within_s=10)
    again.stop(process.pid, process.started)
    assert eventually(lambda: not again.alive(process.pid, process.started), within_s=10)
    again.stop(process.pid, process.started)
    again.close()


def test_another_installation_sees_nothing_of_ours(target: PodmanTarget, engine: Engine, tmp_path: Path) -> None:
    _, _, process = start(target)
    other = PodmanTarget(tmp_path / "other", socket=engine.socket)
    assert other.find() == {}
    assert not other.alive(process.pid, process.started)
    other.stop(process.pid, process.started, kill=True)
    assert target.alive(process.pid, process.started)
    other.close()


def test_a_container_that_ignores_the_request_to_end_is_killed(target: PodmanTarget) -> None:
    stubborn = shop(command=["/bin/sh", "-c", "trap '' TERM; while true; do sleep 1; done"])
    _, _, process = start(target, service=stubborn)
    target.stop(process.pid, process.started)
    time.sleep(1.0)
    assert target.alive(process.pid, process.started)
    target.stop(process.pid, process.started, kill=True)
    assert eventually(lambda: not target.alive(process.pid, process.started), within_s=10)


def test_the_last_words_of_a_crash_are_kept_when_its_container_is_gone(target: PodmanTarget) -> None:
    dying = shop(command=["/bin/sh", "-c", "echo cannot open the till; sleep 1; echo giving up >&2; exit 3"])
    instance, _, process = start(target, service=dying)
    path = target.log_path("shop", PRODUCTION, "1.0.0", instance)
    assert eventually(lambda: not target.alive(process.pid, process.started), within_s=10)
    target.trim_logs(100_000)
    words = target.last_output(path)
    assert "cannot open the till" in words
    assert "giving up" in words


def test_an_instance_is_started_again_under_its_own_name(target: PodmanTarget) -> None:
    instance, port, first = start(target)
    second = target.start(shop(), PRODUCTION, "1.0.0", instance_id=instance, port=port)
    assert second.pid != first.pid
    assert list(target.find()) == [instance]


def test_the_container_gets_its_variables_and_none_of_ours(target: PodmanTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCTOPS_API_TOKEN", "not-for-containers")
    service = shop(command=["/bin/sh", "-c", "export; sleep 60"], env={"GREETING": "hello {version}"})
    instance, port, _ = start(target, service=service)
    path = target.log_path("shop", PRODUCTION, "1.0.0", instance)
    assert eventually(lambda: "GREETING" in target.last_output(path, 60))
    words = target.last_output(path, 60)
    assert "hello 1.0.0" in words
    assert f"PORT='{port}'" in words
    assert "not-for-containers" not in words


def test_what_is_wrong_with_a_start_is_named(target: PodmanTarget) -> None:
    with pytest.raises(NotFoundError, match=r"no image localhost/shop:9\.9\.9 here"):
        start(target, "9.9.9")
    assert not target.exists(shop(), "9.9.9")
    assert target.exists(shop(), "1.0.0")
    with pytest.raises(NotFoundError, match="no program '/bin/nothing'"):
        start(target, service=shop(command=["/bin/nothing"]))


def test_an_image_that_no_registry_has_is_not_found(engine: Engine, home: Path) -> None:
    target = PodmanTarget(home, socket=engine.socket)
    with pytest.raises(NotFoundError, match="could not be fetched"):
        target.prepare(shop(image="localhost:1/nothing:{version}"), "1.0.0")
    target.close()


def test_a_silent_engine_kills_nothing(home: Path, tmp_path: Path) -> None:
    target = PodmanTarget(home, socket=tmp_path / "nobody.sock", timeout_s=0.3)
    assert target.alive(4711, 1.0)
    assert target.find() == {}
    target.stop(4711, 1.0)
    assert target.trim_logs(1000) == 0
    with pytest.raises(DependencyError, match="did not answer"):
        target.prepare(shop(), "1.0.0")
    target.close()


def test_images_need_this_target_and_this_target_needs_images(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="podman"):
        LocalProcessTarget(home).prepare(shop(), "1.0.0")
    plain = Service.model_validate(
        {"name": "shop", "venture": "apollo", "base": "/", "revision": 1,
         "spec": {"run": {"command": ["x"], "versions": {"kind": "folder", "path": "{version}"}}}}
    )  # fmt: skip
    target = PodmanTarget(home, socket=tmp_path / "nobody.sock")
    with pytest.raises(UnsupportedError, match="kind image"):
        target.prepare(plain, "1.0.0")
    target.close()
