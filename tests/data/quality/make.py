"""Runs the real tools on a small shop and keeps what they write, cut and without the machine's name and folders.

``python tests/data/quality/make.py WORK_FOLDER [tool …]``. A tool that is not installed is skipped, and its files stay as they are.
Python's tools are looked for on PATH; those of npm are installed into the work folder. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = "/builds/acme/shop"
SOURCES = HERE / "projects"


def run(command: str, folder: Path, *, seconds: float = 300.0, **environment: str) -> str:
    """What it prints; its exit status says whether tests passed, which is not asked."""
    done = subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, timeout=seconds, env={**os.environ, **environment}, check=False
    )
    return done.stdout


def keep(written: Path | str, tool: str, name: str, work: Path) -> None:
    """Store it under the tool's folder, anonymous."""
    text = written.read_text(encoding="utf-8") if isinstance(written, Path) else written
    text = text.replace(str(work / "projects"), CHECKOUT).replace(str(work), "/home/runner")
    text = re.sub(r"(?<![\w/])(?:/root|/tmp|/home/(?!runner))[\w./-]*/(?=[\w.-]+)", "/opt/tools/", text)
    text = re.sub(rf'(hostname="|"node": "){re.escape(socket.gethostname())}"', r'\g<1>builder"', text)
    (HERE / tool).mkdir(exist_ok=True)
    (HERE / tool / name).write_text(text, encoding="utf-8")
    print(f"{tool}/{name}: {len(text.encode()):,} bytes")


def cut_json(path: Path, change: Callable[[dict], dict | None]) -> str:
    """The document after a change, indented."""
    document = json.loads(path.read_text(encoding="utf-8"))
    changed = change(document)
    return json.dumps(document if changed is None else changed, indent=1, ensure_ascii=False) + "\n"


def make_pytest(work: Path) -> None:
    folder = work / "projects" / "python"
    run(
        f"{sys.executable} -m pytest -q tests --junitxml=junit.xml --cov=shop --cov-branch --cov-report=xml --cov-report=json "
        "--cov-report=lcov --benchmark-json=bench.json --benchmark-save-data -p no:cacheprovider",
        folder, PYTHONPATH=str(folder),
    )  # fmt: skip
    keep(folder / "junit.xml", "pytest", "junit.xml", work)
    keep(folder / "coverage.xml", "coverage-py", "coverage.xml", work)
    keep(folder / "coverage.lcov", "coverage-py", "coverage.lcov", work)
    keep(cut_json(folder / "coverage.json", _files_only), "coverage-py", "coverage.json", work)
    keep(cut_json(folder / "bench.json", _no_machine), "pytest-benchmark", "raw.json", work)
    keep(cut_json(folder / "bench.json", _no_rounds), "pytest-benchmark", "statistics.json", work)


def _files_only(document: dict) -> None:
    for file in document["files"].values():
        file.pop("functions", None), file.pop("classes", None)


def _no_machine(document: dict) -> None:
    document["machine_info"] = {"node": "builder", "python_version": document["machine_info"]["python_version"]}


def _no_rounds(document: dict) -> None:
    _no_machine(document)
    for benchmark in document["benchmarks"]:
        benchmark["stats"].pop("data")


def make_bandit(work: Path) -> None:
    folder = work / "projects" / "python"
    run("bandit -q -r shop -f json -o bandit.json; bandit -q -r shop -f sarif -o bandit.sarif", folder)
    keep(folder / "bandit.json", "bandit", "bandit.json", work)
    keep(folder / "bandit.sarif", "bandit", "bandit.sarif", work)


def make_semgrep(work: Path) -> None:
    folder = work / "projects" / "python"
    for kind in ("json", "sarif"):
        run(
            f"semgrep scan --config rules.yml --{kind} --output semgrep.{kind} --metrics off shop", folder, SEMGREP_ENABLE_VERSION_CHECK="0"
        )
    keep(cut_json(folder / "semgrep.json", lambda document: document.pop("time", None) and None), "semgrep", "semgrep.json", work)
    keep(folder / "semgrep.sarif", "semgrep", "semgrep.sarif", work)


def make_parts(work: Path) -> None:
    """pip-audit (without its advisories where they cannot be had) and cyclonedx-py."""
    folder = work / "projects" / "python"
    run("pip-audit -r requirements.txt --no-deps --disable-pip -f json -o pip-audit.json", folder)
    keep(folder / "pip-audit.json", "pip-audit", "not-audited.json", work)
    run("cyclonedx-py environment --of JSON -o parts.json; cyclonedx-py environment --of XML -o parts.xml", folder)
    keep(cut_json(folder / "parts.json", _few_parts), "cyclonedx", "cyclonedx-py.json", work)
    parts = (folder / "parts.xml").read_text(encoding="utf-8")
    parts = re.sub(r"<externalReferences>.*?</externalReferences>|<dependencies>.*?</dependencies>", "", parts, flags=re.DOTALL)
    few = re.findall(r"<component .*?</component>\s*", parts.partition("</metadata>")[2], flags=re.DOTALL)[:4]
    head = parts.partition("</metadata>")[0] + "</metadata>"
    keep(
        re.sub(r"\n\s*\n", "\n", f"{head}\n  <components>\n    {''.join(few)}</components>\n</bom>\n"),
        "cyclonedx",
        "cyclonedx-py.xml",
        work,
    )


def _few_parts(document: dict) -> None:
    document["components"] = document["components"][:4]
    document.pop("dependencies", None)
    document["metadata"].pop("tools", None)
    for component in document["components"]:
        component.pop("externalReferences", None)


def make_javascript(work: Path) -> None:
    folder = work / "projects" / "javascript"
    if not (folder / "node_modules").exists():
        run("npm install --no-audit --no-fund --ignore-scripts jest jest-junit mocha@10 mocha-junit-reporter @playwright/test", folder)
    run(
        "npx jest --ci --testMatch '**/unit/*.test.js' --reporters=default --reporters=jest-junit --json --outputFile=jest.json "
        "--coverage --coverageReporters=lcov --coverageReporters=cobertura", folder,
    )  # fmt: skip
    run("npx mocha 'cypress/*.spec.js' --reporter mocha-junit-reporter --reporter-options mochaFile=mocha.xml", folder)
    run("npx playwright test", folder)
    run("npm audit --json > npm-audit.json", folder)
    for tool, name in (("jest", "junit.xml"), ("jest", "jest.json"), ("mocha", "mocha.xml"), ("playwright", "playwright.xml")):
        text = (folder / name).read_text(encoding="utf-8")
        text = json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" if name.endswith(".json") else text
        keep(re.sub(r"\n    at [^\n]*node_modules[^\n<]*|\\n    at [^\"]*?node_modules[^\"]*?(?=\\n|\")", "", text), tool, name, work)
    keep(cut_json(folder / "playwright.json", _short_config), "playwright", "playwright.json", work)
    keep(folder / "coverage" / "lcov.info", "jest", "lcov.info", work)
    keep(folder / "coverage" / "cobertura-coverage.xml", "jest", "cobertura.xml", work)
    refused = re.sub(r"https://[^/\s]+/", "https://registry.example/", (folder / "npm-audit.json").read_text(encoding="utf-8"))
    keep(refused, "npm-audit", "refused.json", work)


def _short_config(document: dict) -> None:
    document["config"] = {"version": document["config"]["version"], "rootDir": document["config"]["rootDir"]}
    for suite in document["suites"]:
        _short_results(suite)


def _short_results(suite: dict) -> None:
    for spec in suite["specs"]:
        for test in spec["tests"]:
            for result in test["results"]:
                result.pop("attachments", None), result.pop("errorLocation", None)
    for inner in suite.get("suites", []):
        _short_results(inner)


def make_surefire(work: Path) -> None:
    """From Debian's packages, without a network: libsurefire-java, libjacoco-java."""
    folder = work / "projects" / "java"
    settings = folder / "settings.xml"
    settings.write_text("<settings><localRepository>/usr/share/maven-repo</localRepository><offline>true</offline></settings>")
    run("mvn -o -q -B -s settings.xml test", folder)
    text = (folder / "target/surefire-reports/TEST-shop.BasketTest.xml").read_text(encoding="utf-8")
    text = re.sub(r"\s*<property [^>]*/>", "", text)
    text = re.sub(r"\n\tat (?!shop\.)[^\n<\]]*", "", text)
    keep(text, "surefire", "TEST-shop.BasketTest.xml", work)
    names = ("junit4", "hamcrest-core", "org.jacoco.core", "org.jacoco.report", "asm", "asm-commons", "asm-tree", "asm-analysis")
    jars = ":".join(f"/usr/share/java/{name}.jar" for name in names)
    # Debian's agent lacks the entry that makes it one.
    (folder / "manifest").write_text(
        "Premain-Class: org.jacoco.agent.rt.internal.PreMain\nClass-Path: /usr/share/java/org.jacoco.agent.rt.jar "
        + "".join(f"\n {name} " for name in jars.split(":")) + "\n"
    )  # fmt: skip
    run("jar cfm agent.jar manifest", folder)
    classes = f"target/classes:target/test-classes:{jars}"
    run(f"java -javaagent:agent.jar=destfile=jacoco.exec,includes=shop.* -cp {classes} org.junit.runner.JUnitCore shop.BasketTest", folder)
    run(f"java -cp {jars} Report.java", folder)
    keep(folder / "jacoco.xml", "jacoco", "jacoco.xml", work)


def make_go(work: Path) -> None:
    folder = work / "projects" / "go"
    quiet = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "HOME": str(work)}
    (folder / "seen").unlink(missing_ok=True)
    keep(run("go test -json ./...", folder, **quiet), "go", "test.ndjson", work)
    (folder / "seen").unlink(missing_ok=True)
    run("gotestsum --junitfile broken.xml --packages ./...", folder, **quiet)
    keep(folder / "broken.xml", "go", "gotestsum.xml", work)
    (folder / "seen").unlink(missing_ok=True)
    run("gotestsum --junitfile reruns.xml --rerun-fails --packages .", folder, **quiet)
    keep(folder / "reruns.xml", "go", "gotestsum-reruns.xml", work)


def make_load(work: Path) -> None:
    """hyperfine, wrk and Lighthouse against a little server of files."""
    folder = work / "projects" / "python"
    run("hyperfine -r 6 --export-json hyperfine.json -L pause 1,2 'sleep 0.0{pause}'", folder)
    keep(folder / "hyperfine.json", "hyperfine", "hyperfine.json", work)
    server = subprocess.Popen([sys.executable, "-m", "http.server", "18765", "--bind", "127.0.0.1"], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1.5)
        keep(run("wrk -t1 -c2 -d2s --latency http://127.0.0.1:18765/shop/", folder), "wrk", "latency.txt", work)
        keep(run("wrk -t1 -c2 -d1s http://127.0.0.1:18765/none", folder), "wrk", "not-found.txt", work)
        if shutil.which("lighthouse"):
            run(
                "lighthouse http://127.0.0.1:18765/shop/ --quiet --output=json --output-path=lighthouse.json --only-categories=performance "
                "--chrome-flags='--headless=new --no-sandbox'", folder, seconds=180, HOME=str(work),
            )  # fmt: skip
            keep(cut_json(folder / "lighthouse.json", _few_audits), "lighthouse", "lighthouse.json", work)
    finally:
        server.terminate()
        server.wait()


def _few_audits(document: dict) -> dict:
    names = (
        "first-contentful-paint", "largest-contentful-paint", "speed-index", "total-blocking-time", "cumulative-layout-shift",
        "interactive", "server-response-time", "total-byte-weight", "is-on-https",
    )  # fmt: skip
    audits = {name: document["audits"][name] for name in names if name in document["audits"]}
    for audit in audits.values():
        audit.pop("details", None)
    category = document["categories"]["performance"] | {"auditRefs": []}
    wanted = ("lighthouseVersion", "requestedUrl", "finalDisplayedUrl", "fetchTime", "gatherMode", "runWarnings")
    return {name: document[name] for name in wanted} | {"audits": audits, "categories": {"performance": category}}


TOOLS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "pytest": ("pytest", make_pytest), "bandit": ("bandit", make_bandit), "semgrep": ("semgrep", make_semgrep),
    "parts": ("cyclonedx-py", make_parts), "javascript": ("npx", make_javascript), "surefire": ("mvn", make_surefire),
    "go": ("gotestsum", make_go), "load": ("wrk", make_load),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=textwrap.dedent(__doc__ or ""))
    parser.add_argument("work", type=Path)
    parser.add_argument("tools", nargs="*", default=list(TOOLS), help=", ".join(TOOLS))
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    shutil.copytree(SOURCES, work / "projects", dirs_exist_ok=True)
    # Names that this repository's own tools would run as tests.
    for path in (work / "projects").rglob("*.txt"):
        if path.name != "requirements.txt":
            path.rename(path.with_suffix(""))
    for name in arguments.tools:
        program, make = TOOLS[name]
        if shutil.which(program):
            make(work)
        else:
            print(f"{name}: skipped, {program} is not on PATH")


if __name__ == "__main__":
    main()
