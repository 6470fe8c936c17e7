"""The catalog of a home: the shop with its payments, its flag, its playbooks; addresses and files are those of this home."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
PLAYBOOKS = HERE.parents[1] / "catalog" / "playbooks"


def write_catalog(home: Path, *, port_base: int) -> Path:
    """A folder for ``productops apply``; the six playbooks of the product lie in it, too."""
    folder = home / "incidents-catalog"
    folder.mkdir(parents=True, exist_ok=True)
    documents = [_venture(), _payments(), _storefront(home, port_base=port_base), _flag(), *_playbooks(home)]
    (folder / "shop.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    for each in sorted(PLAYBOOKS.glob("*.yaml")):
        (folder / each.name).write_text(each.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


def journal(home: Path) -> Path:
    """Where the shop writes its orders."""
    return home / "shop-journal.log"


def hogs(home: Path) -> Path:
    """Where batch jobs write their pids."""
    return home / "batch.pids"


def _entry(kind: str, name: str, spec: dict[str, object], *, venture: str | None = "apollo") -> dict[str, object]:
    metadata = {"name": name} | ({"venture": venture} if venture else {})
    return {"apiVersion": "productops/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _venture() -> dict[str, object]:
    return _entry("Venture", "apollo", {"title": "Apollo", "description": "A shop to break."}, venture=None)


def _run(service: str, *, instances: int, env: dict[str, str]) -> dict[str, object]:
    return {
        "command": ["{python}", "server.py", "--port", "{port}"], "env": env, "instances": instances,
        "versions": {"kind": "folder", "path": str(HERE / service / "versions" / "{version}")},
        "health": {"path": "/healthz", "timeout_s": 20},
    }  # fmt: skip


_ROLLOUT = {
    "strategy": "blue-green", "blue_green": {"watch_s": 3, "keep_warm_s": 600}, "validate_s": 1,
    "analysis": {"requests_min": 20, "warm_up_s": 0}, "quarantine": False,
}  # fmt: skip


def _payments() -> dict[str, object]:
    return _entry("Service", "payments", {"run": _run("payments", instances=1, env={}), "rollout": _ROLLOUT})


def _storefront(home: Path, *, port_base: int) -> dict[str, object]:
    env = {
        "SHOP_PAYMENTS": f"127.0.0.1:{port_base + 2}", "SHOP_FLAGS": f"http://127.0.0.1:{port_base}",
        "SHOP_TOKEN_FILE": str(home / "token"), "SHOP_JOURNAL": str(journal(home)),
    }  # fmt: skip
    spec = {"depends_on": ["payments"], "run": _run("storefront", instances=2, env=env), "rollout": _ROLLOUT}
    return _entry("Service", "storefront", spec)


def _flag() -> dict[str, object]:
    return _entry("Flag", "new-checkout", {"description": "The checkout on one page.", "owner": "team-checkout"})


def _playbooks(home: Path) -> list[dict[str, object]]:
    calm = {"timeout_s": 8, "argv": ["{python}", str(HERE / "mend.py"), "calm", str(hogs(home))]}
    room = {"timeout_s": 8, "argv": ["{python}", str(HERE / "mend.py"), "make-room", str(journal(home))]}
    wait = {"do": "wait-for-recovery", "timeout_s": 60, "good_s": 3}
    return [
        _entry("Playbook", "make-room", {
            "title": "The disk of the shop is full", "rank": 10, "when": {"causes": ["host"], "subjects": ["disk", "space", "full"]},
            "commands": {"make-room": room}, "steps": [{"do": "run-command", "command": "make-room"}, wait], "drill": "full-disk",
        }),
        _entry("Playbook", "calm-host", {
            "title": "A batch job takes the processors", "rank": 20, "when": {"causes": ["host"]},
            "commands": {"calm": calm}, "steps": [{"do": "run-command", "command": "calm"}, wait], "drill": "cpu-hog",
        }),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(f"{write_catalog(Path(sys.argv[1]), port_base=int(sys.argv[2]))}\n")
