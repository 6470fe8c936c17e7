"""Envoy's documents as we make them, without Envoy."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from productops.adapters.envoy import EnvoyRouter, config
from productops.adapters.envoy.files import Files
from productops.adapters.envoy.plan import Planner
from productops.domain.release import Environment
from productops.domain.routing import Endpoint, ServiceRoute

patient = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
endpoints = st.builds(Endpoint, host=st.sampled_from(["127.0.0.1", "::1", ""]), port=st.integers(-1, 70_000), draining=st.booleans())
versions = st.sampled_from(["1.4.2", "1.5.0", "a+b_c-d", "0" * 100])
routes = st.lists(
    st.builds(
        ServiceRoute,
        service=st.sampled_from(["storefront", "cart", "x" * 63]),
        environment=st.sampled_from(Environment),
        hosts=st.lists(
            st.one_of(st.text(max_size=12), st.sampled_from(["a.localhost", "A.localhost:80", "*", "*.example.org"])), max_size=3
        ).map(tuple),
        generation=st.integers(0, 1000),
        baseline_version=st.none() | versions,
        candidate_version=st.none() | versions,
        candidate_pct=st.integers(0, 100),
        header_only=st.booleans(),
        fleets=st.dictionaries(versions, st.lists(endpoints, max_size=3).map(tuple), max_size=3),
        health_path=st.text(max_size=10).map(lambda path: "/" + path),
        timeout_s=st.floats(0.00001, 3600),
        sticky=st.booleans(),
    ),
    max_size=5,
    unique_by=lambda route: (route.service, route.environment),
)


def documents(planned: Sequence[ServiceRoute]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Routes and clusters as Envoy reads them."""
    plan = Planner().plan(planned)
    rds, cds = config.route_text(plan.virtual_hosts)[0], config.cluster_text(plan.clusters)[0]
    return json.loads(rds), json.loads(cds)


def names_in(document: object) -> set[str]:
    """Every cluster that a document sends requests to."""
    if isinstance(document, list):
        return {name for item in document for name in names_in(item)}
    if not isinstance(document, dict):
        return set()
    found = {name for value in document.values() for name in names_in(value)}
    found |= {arm["name"] for arm in document.get("weighted_clusters", {}).get("clusters", ())}
    return found | ({document["cluster"]} if "cluster" in document else set())


@patient
@given(routes)
def test_routes_only_name_clusters_that_exist_and_hosts_that_are_free(planned: list[ServiceRoute]) -> None:
    rds, cds = documents(planned)
    hosts = rds["resources"][0]["virtual_hosts"]
    assert names_in(hosts) <= {cluster["name"] for cluster in cds["resources"]}
    domains = [domain for host in hosts for domain in host["domains"]]
    assert len(domains) == len(set(domains))
    assert all(host["domains"] for host in hosts)


@patient
@given(routes, st.randoms())
def test_the_same_routes_make_the_same_text_in_any_order(planned: list[ServiceRoute], shuffle: random.Random) -> None:
    shuffled = list(planned)
    shuffle.shuffle(shuffled)
    planner = Planner()
    first, again = planner.plan(planned), planner.plan(shuffled)
    assert (first, first) == (again, Planner().plan(shuffled))


@patient
@given(routes)
def test_weights_add_up_to_a_hundred_and_text_is_plain(planned: list[ServiceRoute]) -> None:
    rds, cds = documents(planned)
    for host in rds["resources"][0]["virtual_hosts"]:
        for rule in host["routes"]:
            arms = rule.get("route", {}).get("weighted_clusters", {}).get("clusters", ())
            assert not arms or sum(arm["weight"] for arm in arms) == 100
            assert rule.get("route", {}).get("timeout") != "0.000s"
    for cluster in cds["resources"]:
        path = cluster["health_checks"][0]["http_health_check"]["path"]
        assert path.isascii()
        assert path.isprintable()
        assert " " not in path


@patient
@given(routes)
def test_a_new_generation_changes_the_version_and_a_draining_instance_changes_the_cluster(planned: list[ServiceRoute]) -> None:
    for route in planned:
        now = replace(route, hosts=("a.localhost",))
        later = replace(now, generation=now.generation + 1)
        assert documents([now])[0]["version_info"] != documents([later])[0]["version_info"]
        assert documents([now])[1] == documents([later])[1]
    serving, leaving = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2, draining=True)
    key = ("cart", Environment.STAGING, "1")
    alone, beside = (config.cluster(key, fleet, health_path="/")[0] for fleet in ([serving], [serving, leaving]))
    both = config.cluster(key, [serving, replace(leaving, draining=False)], health_path="/")[0]
    assert alone == beside != both
    assert config.version_of_cluster(alone) == config.version_of_cluster(both)


def test_files_are_read_back_as_they_were_written_and_damage_is_no_file(tmp_path: Path) -> None:
    parts = {"b": config.encode({"name": "b"}), "a": config.encode({"name": "a", "é": '"'})}
    files = Files(tmp_path)
    assert files.put_hosts(parts)
    assert files.put_clusters(parts)
    assert not files.put_hosts(dict(reversed(parts.items())))
    other = Files(tmp_path)
    assert (other.hosts(), other.clusters()) == (files.hosts(), files.clusters())
    assert other.hosts().parts == parts
    for damage in ("", "[]", '{"resources": [1]}', "\x00\xff", '{"resources": [], "version_info": '):
        (tmp_path / "rds.json").write_text(damage)
        assert other.hosts().parts == {}
    assert other.put_hosts(parts)
    assert Files(tmp_path).hosts().parts == parts


def test_the_bootstrap_keeps_routes_that_are_there_and_the_command_names_it(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.put_hosts({"a": config.encode({"name": "a"})})
    router = EnvoyRouter(tmp_path, port=8702, admin_port=8703, concurrency=2, log_level="error", binary=Path("/bin/sh"))
    path = router.write_bootstrap()
    assert Files(tmp_path).hosts().parts.keys() == {"a"}
    bootstrap = json.loads(path.read_text())
    assert bootstrap["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 8703}
    command = router.command()
    assert command[:3] == ["/bin/sh", "-c", str(path)]
    assert command[command.index("--concurrency") + 1] == "2"
    assert "--disable-hot-restart" in command
