"""The catalog's files: what is read, what is refused, and what a person is told."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from productops.adapters.catalog_files import LoadedEntry, load_catalog
from productops.adapters.catalog_files.yaml_documents import YamlProblem, read_documents
from productops.domain.catalog import AnyEntry, GitVersions, ServiceEntry, VentureEntry
from productops.domain.release import Strategy
from productops.errors import CatalogError

KINDS = [get_args(entry.model_fields["kind"].annotation)[0] for entry in get_args(AnyEntry)]
VENTURE = "apiVersion: productops/v1\nkind: Venture\nmetadata: {name: acme}\n"
SERVICE = """\
apiVersion: productops/v1
kind: Service
metadata:
  name: shop
  venture: acme
spec:
  run:
    command: ["{python}", app.py]
    versions:
      kind: folder
      path: versions/{version}
"""


def write(folder: Path, **files: str) -> Path:
    """Files ``<name>.yaml`` in ``folder``; ``__`` in a name is a subfolder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    """What loading ``folder`` complains about, with file names relative to it."""
    with pytest.raises(CatalogError) as caught:
        load_catalog(folder)
    assert caught.value.detail == "\n".join(caught.value.extra["problems"])
    return [line.removeprefix(f"{folder}/") for line in caught.value.extra["problems"]]


def test_a_catalog_of_several_files_and_documents_is_read_in_order(tmp_path: Path) -> None:
    other = SERVICE.replace("name: shop", "name: cart").replace(
        "kind: folder\n      path: versions/{version}", "{kind: git, repository: ..}"
    )
    write(
        tmp_path,
        b=SERVICE,
        a=f"# the owner\n---\n{VENTURE}---\n---\n# nothing\n",
        sub__c=other.replace("versions:\n      {", "versions: {"),
    )
    (tmp_path / "z.yml").write_text(VENTURE.replace("acme", "zeta"))
    loaded = load_catalog(tmp_path)
    assert [(entry.entry.metadata.name, entry.file.name, entry.line) for entry in loaded] == [
        ("acme", "a.yaml", 3),
        ("shop", "b.yaml", 1),
        ("zeta", "z.yml", 1),
        ("cart", "c.yaml", 1),
    ]
    assert isinstance(loaded[0].entry, VentureEntry)
    assert isinstance(loaded[3].entry, ServiceEntry)
    assert loaded[3].entry.spec.run.versions == GitVersions(kind="git", repository="..")
    assert loaded[3].base == (tmp_path / "sub").resolve()
    assert isinstance(hash(loaded[0].file), int)
    with pytest.raises(AttributeError):
        loaded[0].line = 2  # type: ignore[misc]
    assert LoadedEntry(loaded[0].entry, tmp_path, 1, tmp_path).line == 1


def test_every_problem_of_every_file_is_named_with_its_line(tmp_path: Path) -> None:
    wrong = """\
# a comment
apiVersion: productops/v2
kind: Service
metadata:
  name: Bad Name
  ventur: acme
spec:
  run:
    command: [x]
    instances: yes
    colour: red
    env:
      PORT: 8080
    versions:
      kind: wheel
      pth: x
    health: {interval_s: "1", timeout_s: 99999}
  route:
    hosts:
      prod: [a]
      staging: b
  rollout:
    strategy: canry
    canary:
      steps:
        - weight_pct: 50
          hold_s: 1
        - {weight_pct: 5,
           hold_s: soon}
---
kind: Srvice
---
spec: {}
---
- 1
"""
    write(tmp_path, a=wrong, b="a: 1\nb: [\nc: 2\n", c=VENTURE)
    assert problems(tmp_path) == [
        'a.yaml:2: apiVersion: must be productops/v1, not "productops/v2"',
        "a.yaml:5: metadata.name: \"Bad Name\" does not match ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ (Lower case letters, digits and '-')",
        "a.yaml:6: metadata.ventur: unknown field; did you mean 'venture'?",
        "a.yaml:10: spec.run.instances: must be a whole number, got true",
        "a.yaml:11: spec.run.colour: unknown field; known are command, env, versions, instances, health",
        "a.yaml:13: spec.run.env.PORT: must be text, got 8080: put it in quotes",
        "a.yaml:14: spec.run.versions.path: is missing (Wheel file of a version; {version} is replaced. Relative to the catalog file)",
        "a.yaml:16: spec.run.versions.pth: unknown field; did you mean 'path'?",
        "a.yaml:17: spec.run.health.timeout_s: must be less than or equal to 3600, got 99999",
        'a.yaml:17: spec.run.health.interval_s: must be a number, got "1": remove the quotes',
        "a.yaml:20: spec.route.hosts.prod: must be development or staging or production, not \"prod\"; did you mean 'production'?",
        'a.yaml:21: spec.route.hosts.staging: must be a list, got "b"',
        (
            "a.yaml:23: spec.rollout.strategy: must be canary or blue-green or rolling or dark-launch or feature-toggle, "
            "not \"canry\"; did you mean 'canary'?"
        ),
        'a.yaml:29: spec.rollout.canary.steps[1].hold_s: must be a number, got "soon"',
        f"a.yaml:31: kind: must be {' or '.join(KINDS)}, not \"Srvice\"; did you mean 'Service'?",
        f"a.yaml:33: kind: is missing: write one of {', '.join(sorted(KINDS))}",
        "a.yaml:35: must be a mapping, got a list",
        "b.yaml:4: not YAML: did not find expected ',' or ']', while parsing a flow sequence",
    ]


def test_rules_between_fields_name_the_line_of_what_they_are_about(tmp_path: Path) -> None:
    falling = "  rollout:\n    canary:\n      steps: [{weight_pct: 50, hold_s: 1}, {weight_pct: 5, hold_s: 1}]\n"
    write(tmp_path, a=VENTURE, b=SERVICE + falling, c=SERVICE.replace("shop", "cart").replace("  venture: acme\n", ""))
    assert problems(tmp_path) == [
        "b.yaml:14: spec.rollout.canary.steps: weights must rise from step to step, got [50, 5]",
        "c.yaml:1: metadata.venture is missing: name the venture that owns this service",
    ]


def test_the_kind_of_versions_is_asked_for(tmp_path: Path) -> None:
    write(
        tmp_path,
        a=VENTURE,
        b=SERVICE.replace("kind: folder", "kind: fodler"),
        c=SERVICE.replace("shop", "cart").replace("      kind: folder\n", ""),
    )
    assert problems(tmp_path) == [
        "b.yaml:10: spec.run.versions.kind: must be folder or git or wheel or image, not \"fodler\"; did you mean 'folder'?",
        "c.yaml:9: spec.run.versions.kind: is missing: write one of folder, git, image, wheel",
    ]


def test_a_field_named_like_a_kind_of_versions_is_told_apart_from_it(tmp_path: Path) -> None:
    write(tmp_path, a=VENTURE, b=SERVICE.replace("path: versions", "folder: versions"))
    assert problems(tmp_path) == [
        "b.yaml:9: spec.run.versions.path: is missing (Folder of a version; {version} is replaced. Relative to the catalog file)",
        "b.yaml:11: spec.run.versions.folder: unknown field; known are kind, path",
    ]


def test_names_are_unique_and_owners_declared_even_beside_other_mistakes(tmp_path: Path) -> None:
    write(
        tmp_path,
        a=VENTURE + "spec: {titlex: x}\n---\n" + VENTURE,
        b=SERVICE,
        c=SERVICE.replace("acme", "acne"),
        d=SERVICE.replace("shop", "cart").replace("acme", "nobody"),
        e=SERVICE.replace("shop", "acme"),
    )
    assert problems(tmp_path) == [
        "a.yaml:4: spec.titlex: unknown field; did you mean 'title'?",
        f"a.yaml:8: metadata.name: Venture 'acme' is declared twice, first in {tmp_path}/a.yaml:1",
        f"c.yaml:4: metadata.name: Service 'shop' is declared twice, first in {tmp_path}/b.yaml:1",
        "c.yaml:5: metadata.venture: venture 'acne' is not declared; did you mean 'acme'?",
        "d.yaml:5: metadata.venture: venture 'nobody' is not declared; add an entry of kind Venture with that name",
    ]


def test_a_host_leads_to_one_service_and_environment(tmp_path: Path) -> None:
    route = "  route: {hosts: {production: [SHOP.localhost, cart.example], staging: [cart.example]}}\n"
    write(tmp_path, a=VENTURE, b=SERVICE, c=SERVICE.replace("shop", "cart") + route)
    assert problems(tmp_path) == [
        "c.yaml:12: spec.route.hosts.production: host 'SHOP.localhost' leads to service shop in production already",
        "c.yaml:12: spec.route.hosts.production: host 'cart.example' leads to service cart in staging already",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "3: key 'a' is given twice, first in line 1"),
        ("a:\n\tb: 1\n", "2: not YAML: a tab cannot indent; use spaces"),
        ("a: *b\n", "1: not YAML: found undefined alias"),
        ("a: !!python/object/apply:os.system [x]\n", "1: type python/object/apply:os.system is not allowed here"),
        ("a: !secret x\n", "1: type !secret is not allowed here"),
        ("a: !!set {x}\n", "1: type set is not allowed here"),
        ("\n? [a]\n: 1\n", "2: a key must be plain text"),
        ("a: .nan\n", "1: '.nan' is not a finite number"),
        ("a: &a [*a]\n", "1: nested deeper than 40 levels once aliases are followed"),
        ("a: &a {b: 1}\n<<: [*a, 1]\n", "2: '<<' needs a mapping, or a list of mappings"),
        ('a: "x\\0y"\n', "1: text holds a NUL character or half of a surrogate pair"),
        ("[" * 200_000, "1: nested deeper than 40 levels"),
        ("- " * 200_000, "1: nested deeper than 40 levels"),
    ],
    ids=str,
)
def test_yaml_that_a_catalog_has_no_use_for_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(write(tmp_path, a=VENTURE, b=text)) == [f"b.yaml:{problem}"]


def test_a_bomb_of_aliases_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    merges = ["m0: &m0 {x: 1}", *(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 12))]
    write(tmp_path, a="\n".join(lines), b="\n".join(merges))
    found = problems(tmp_path)
    assert [line.partition(": ")[2] for line in found] == ["more than 100,000 values once aliases are followed"] * 2


def test_aliases_and_merged_mappings_may_share_settings(tmp_path: Path) -> None:
    shared = SERVICE + "  rollout: &careful {strategy: blue-green, validate_s: 9}\n"
    other = SERVICE.replace("shop", "cart") + "  rollout:\n    <<: {strategy: blue-green, validate_s: 9}\n    validate_s: 7\n"
    loaded = load_catalog(write(tmp_path, a=VENTURE, b=shared, c=other))
    rollouts = [entry.entry.spec.rollout for entry in loaded if isinstance(entry.entry, ServiceEntry)]
    assert [(rollout.strategy, rollout.validate_s) for rollout in rollouts] == [(Strategy.BLUE_GREEN, 9), (Strategy.BLUE_GREEN, 7)]
    wrong = SERVICE + "  rollout: {<<: {strategy: blue}}\n"
    assert problems(write(tmp_path, b=wrong, c="")) == [
        (
            "b.yaml:12: spec.rollout.strategy: must be canary or blue-green or rolling or dark-launch or feature-toggle, "
            "not \"blue\"; did you mean 'blue-green'?"
        )
    ]


def test_text_keys_and_dates_are_taken_as_written(tmp_path: Path) -> None:
    env = "    env: {on: 'yes', 8080: http, started: 2026-11-21}\n"
    loaded = load_catalog(write(tmp_path, a=VENTURE, b=SERVICE.replace("    versions:", f"{env}    versions:")))
    assert isinstance(loaded[1].entry, ServiceEntry)
    assert loaded[1].entry.spec.run.env == {"on": "yes", "8080": "http", "started": "2026-11-21"}


def test_files_that_cannot_be_catalog_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, a=VENTURE, big="# " + "x" * 1_048_576)
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\n")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "lost.yaml").symlink_to("nowhere")
    (tmp_path / "marked.yaml").write_bytes(b"\xef\xbb\xbf" + VENTURE.replace("acme", "marked").encode())
    assert problems(tmp_path) == [
        "big.yaml:1: is larger than 1,024 KiB",
        "latin.yaml:2: is not UTF-8 text",
        "lost.yaml:1: cannot be read: No such file or directory",
        "pipe.yaml:1: is not a regular file",
    ]


def test_links_are_followed_within_the_folder_only(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", a=VENTURE)
    folder = write(tmp_path / "catalog", b=VENTURE)
    (folder / "again.yaml").symlink_to("b.yaml")
    # The layout of a mounted ConfigMap: files are links into a hidden folder.
    write(folder / "..2026", c=VENTURE.replace("acme", "mounted"))
    (folder / "c.yaml").symlink_to("..2026/c.yaml")
    assert [entry.entry.metadata.name for entry in load_catalog(folder)] == ["acme", "mounted"]
    (folder / "x.yaml").symlink_to(outside / "a.yaml")
    (folder / "y").symlink_to(outside, target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert problems(folder) == [
        "x.yaml:1: is a link that leaves the catalog folder; put the file itself there",
        "y:1: is a link that leaves the catalog folder; put the file itself there",
    ]


def test_an_empty_or_missing_catalog_says_what_to_put_there(tmp_path: Path) -> None:
    write(tmp_path, empty="", comment="# nothing\n", hidden__x="").joinpath("notes.txt").write_text("x: 1")
    (tmp_path / ".hidden.yaml").write_text("broken: [")
    for folder in (tmp_path, tmp_path / "missing", tmp_path / "notes.txt"):
        with pytest.raises(CatalogError, match=r"apiVersion: productops/v1, kind: Venture, metadata: \{name: acme\}"):
            load_catalog(folder)


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path) -> None:
    for number in range(5001):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(CatalogError, match="more than 5,000 files"):
        load_catalog(tmp_path)


def test_a_thousand_services_load_within_seconds(tmp_path: Path) -> None:
    services = {f"f{n}": "---\n".join(SERVICE.replace("shop", f"s-{n}-{m}") for m in range(20)) for n in range(50)}
    assert len(load_catalog(write(tmp_path, a=VENTURE, **services))) == 1001


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([*"{}[]:,-&*!|>'\"%@`#?\n\t \r\x85\u2028", "a", "1", "- ", ": ", "<<", "&a ", "*a", "---\n", "!!int ", "0x", "\\u"])
    ).map("".join)
)
@example("a: \r\tb")
@example("!!int ")
@example("\ufeff")
def test_no_text_does_anything_but_load_or_be_refused(text: str) -> None:
    with suppress(YamlProblem):
        assert all(document.place.line >= 1 for document in read_documents(text))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_broken_entry_does_anything_but_be_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = SERVICE.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        key = lines[at].partition(":")[0]
        lines[at] = data.draw(
            st.sampled_from(["", f"{key}: [1]\n", f"{key}: 7\n", f"{key}: {{kind: git}}\n", f"{key}:\n", f"{key}: x\n", f"{key}x: x\n"])
        )
    folder = write(tmp_path_factory.mktemp("catalog"), a=VENTURE, b="".join(lines))
    with suppress(CatalogError):
        assert len(load_catalog(folder)) == 2
