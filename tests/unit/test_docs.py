"""The documentation says what the code does, and its links lead somewhere."""

import functools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from productops.adapters.catalog_files import load_catalog
from productops.adapters.connections import Connections
from productops.cli import docs_domain, docs_reference
from productops.domain.catalog import Rollout, Route, Run
from productops.domain.catalog_feature import FeatureSpec
from productops.domain.development_plan_facts_file import WorkFile
from productops.domain.release import EDGES, ENDED, EXPOSED, Cause, Phase
from productops.usecases import release_rollback

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])
STATES = (DOCS / "explanation" / "states.md").read_text(encoding="utf-8")
IMAGE_BYTES_MAX = 250_000


def prose(text: str) -> str:
    """The page without its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@functools.cache
def anchors(page: Path) -> set[str]:
    """What a link to a part of the page may name: its headings as GitHub spells them, and its own ids."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), flags=re.MULTILINE)
    spelled = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    return spelled | set(re.findall(r"<a id='([^']+)'", text))


def table(heading: str) -> dict[str, list[str]]:
    """Rows of the first table below a heading of the page of states: first cell → the others."""
    part = STATES.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    broken = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if not link.startswith("#")]
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in seen] == []


def test_every_picture_is_used_and_small():
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    images = list((DOCS / "images").iterdir())
    assert [image.name for image in images if f"images/{image.name})" not in text] == []
    assert [image.name for image in images if image.stat().st_size > IMAGE_BYTES_MAX] == []


def test_the_diagram_of_states_has_exactly_the_edges_of_the_code():
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", STATES, flags=re.MULTILINE))
    assert drawn == {(phase.value, target.value) for phase, targets in EDGES.items() for target in targets}


def test_the_diagram_begins_and_ends_where_the_code_does():
    assert re.findall(r"^    \[\*\] --> (\w+)$", STATES, flags=re.MULTILINE) == [Phase.REQUESTED.value]
    ends = set(re.findall(r"^    (\w+) --> \[\*\]$", STATES, flags=re.MULTILINE))
    assert ends == {phase.value for phase, targets in EDGES.items() if not targets}


def test_the_table_of_moves_is_what_the_code_would_write():
    assert table("Moves") == {p.value: [", ".join(sorted(t.value for t in targets)) or "–"] for p, targets in EDGES.items()}


def test_the_table_of_states_names_those_in_which_users_meet_the_candidate():
    said = {state: cells[-1] for state, cells in table("What each state means").items()}
    assert set(said) == {phase.value for phase in Phase}
    assert {state for state, cell in said.items() if cell == "yes"} == {phase.value for phase in EXPOSED}
    assert {state for state, cell in said.items() if cell == "no"} >= {phase.value for phase in ENDED - {Phase.PROMOTED}}


def test_the_table_of_causes_says_which_bar_the_version():
    blamed = {cause.value for cause in release_rollback._BLAMES_VERSION}
    assert {cause: cells[-1] for cause, cells in table("Why a release left its way").items()} == {
        cause.value: "yes" if cause.value in blamed else "no" for cause in Cause
    }


def test_the_pages_of_catalog_and_events_are_as_the_code_would_write_them():
    written = {name: (docs_domain.FOLDER / name).read_text(encoding="utf-8") for name in docs_domain.pages()}
    assert written == docs_domain.pages(), "run: make docs"


def test_the_other_generated_pages_are_as_the_code_would_write_them():
    assert docs_reference.outdated() == [], "run: make docs"


def test_every_event_that_is_told_is_documented():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "productops").rglob("*.py")]
    told = {kind for text in sources for kind in re.findall(r"[. _]tell\([^()]*?\"(\w+)\"", text)}
    chosen = {"approved", "approval_overridden"}  # by a condition, within one call
    assert told | chosen == set(docs_domain.EVENTS)


def test_every_dependency_has_a_row_with_its_reason_and_licence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    named = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    named += [requirement for extra, listed in extras.items() if extra != "all" for requirement in listed]
    wanted = {re.match(r"[\w.-]+", requirement).group() for requirement in named}
    rows = re.findall(r"^\| ([\w.-]+) \| (.+) \| (.+) \|$", (DOCS / "dependencies.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {name for name, reason, licence in rows if reason and licence} - {"package"} == wanted


def yaml_blocks() -> list[tuple[str, str]]:
    return [
        (page.name, block)
        for page in PAGES
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    ]


def test_the_catalog_entries_in_the_pages_are_valid(tmp_path):
    whole = [block for _, block in yaml_blocks() if "apiVersion" in block]
    # Most pages go on with the venture of the example.
    (tmp_path / "venture.yaml").write_text(
        "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: apollo}\nspec: {}\n", encoding="utf-8"
    )
    (tmp_path / "pages.yaml").write_text("---\n".join(whole), encoding="utf-8")
    assert load_catalog(tmp_path)


@pytest.mark.parametrize(("page", "block"), [pair for pair in yaml_blocks() if "apiVersion" not in pair[1]])
def test_parts_of_entries_in_the_pages_are_valid(page, block, monkeypatch):
    parts = yaml.safe_load(block)
    if "PRODUCTOPS_CONNECTIONS" in block:
        for name in re.findall(r"_env: (\w+)", block):
            monkeypatch.setenv(name, "secret")
        if "metric_sources" not in parts:  # its sources are shown on another page
            parts.get("router", {}).pop("metrics", None)
        assert Connections.model_validate(parts)
        return
    if "rules" in parts or "receivers" in parts:  # of a Kubernetes Role; Alertmanager's own
        return
    if {"people", "items"} <= parts.keys():
        assert WorkFile.model_validate(parts)
        return
    (name, part), *others = parts.items()
    assert others == [], page
    match name:
        case "run":
            assert Run.model_validate(part)
        case "versions":
            assert Run.model_validate({"command": ["x"], "versions": part})
        case "rollout":
            assert Rollout.model_validate(part)
        case "route":
            assert Route.model_validate(part)
        case "success":
            assert FeatureSpec.model_validate({"work": ["APOLLO-1"], "success": part})
        case "change_system":
            monkeypatch.setenv("CHANGE_SYSTEM_TOKEN", "secret")
            assert Connections.model_validate({"change_system": part})
        case _:
            pytest.fail(f"{page} has an example of {name}, which is no part of an entry")
