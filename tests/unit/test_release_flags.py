"""Who gets which variant, how flags change, and which have outlived their use."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from productops.domain.catalog_flags import FlagSpec, FlagState, Live, Ramp
from productops.domain.catalog_flags_targeting import targeting_problem
from productops.domain.release import Environment
from productops.domain.release_flags import Flag, FlagUse, StaleReason, changed, everybodys_variant, stale_flags
from productops.domain.release_flags.changes import (
    Archive,
    Declare,
    Edit,
    Kill,
    Put,
    RampTo,
    RestoreTo,
    Revive,
    affected,
    first_state,
    keeping_kills,
    named,
)
from productops.domain.release_flags.evaluate import PARTS, Answer, Failure, FlagSet, bucket_is_in
from productops.errors import FlagKilledError, InvalidInputError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRODUCTION = Environment.PRODUCTION
USERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
SHARES = st.floats(min_value=0, max_value=100, allow_nan=False)


def spec(**fields):
    return FlagSpec.model_validate({"owner": "checkout"} | fields)


def flag(state: FlagState | None = None, key="new-checkout", revision=1, **fields):
    return Flag(key, "apollo", state or first_state(spec(**fields), now=NOW), None, revision, NOW, NOW)


def ramped(percent, segments=(), **fields):
    return changed(first_state(spec(**fields), now=NOW), RampTo(environment=PRODUCTION, percent=percent, segments=segments), now=NOW)


def variant(state, **context):
    found = FlagSet(PRODUCTION, [flag(state)], version=1).evaluate("new-checkout", context)
    return found.variant if isinstance(found, Answer) else found.code


@given(user=USERS, shares=st.lists(SHARES, min_size=2, max_size=6).map(sorted))
def test_nobody_loses_a_variant_while_its_share_rises(user, shares):
    had = False
    for share in shares:
        has = variant(ramped(share), targetingKey=user) == "on"
        assert has or not had
        had = has
    assert variant(ramped(100), targetingKey=user) == "on"
    assert variant(ramped(0), targetingKey=user) == "off"


@given(user=USERS, low=SHARES, high=SHARES, country=st.sampled_from(["NZ", "AU", "DE", None]))
def test_nobody_of_a_segment_loses_a_variant_while_the_share_of_the_others_rises(user, low, high, country):
    segments = [{"attribute": "country", "values": ["NZ", "AU"]}]
    before, after = (ramped(share, segments) for share in sorted((low, high)))
    context = {"targetingKey": user} | ({"country": country} if country else {})
    if variant(before, **context) == "on":
        assert variant(after, **context) == "on"
    if country in {"NZ", "AU"}:
        assert variant(before, **context) == "on"


def test_a_share_is_as_large_as_it_says():
    for share in (0.5, 5.0, 30.0, 75.0):
        inside = sum(bucket_is_in("new-checkout", f"user-{n}", share) for n in range(20_000))
        assert inside / 200 == pytest.approx(share, abs=1.2)


def test_flags_share_users_out_independently_of_each_other():
    both = sum(bucket_is_in("a", f"user-{n}", 50) and bucket_is_in("b", f"user-{n}", 50) for n in range(20_000))
    assert both / 200 == pytest.approx(25, abs=1.2)


def test_the_smallest_share_is_more_than_nobody_and_the_largest_less_than_everybody():
    users = [f"user-{n}" for n in range(PARTS * 3)]
    assert any(bucket_is_in("new-checkout", user, 1e-9) for user in users)
    assert not all(bucket_is_in("new-checkout", user, 100 - 1e-9) for user in users)


def test_the_bucket_is_the_same_in_every_process_and_that_of_other_flagd_sdks():
    code = (
        "from productops.domain.release_flags.evaluate import bucket_is_in\n"
        "print(''.join('x' if bucket_is_in('new-checkout', f'user-{n}', 37.5) else '.' for n in range(300)))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("0", "1", "12345")
    }
    here = "".join("x" if bucket_is_in("new-checkout", f"user-{n}", 37.5) else "." for n in range(300))
    assert runs == {here}
    # MurmurHash3 of key and user, as flagd's documentation computes it.
    import mmh3

    assert here == "".join("x" if (mmh3.hash(f"new-checkoutuser-{n}", signed=False) * PARTS) >> 32 < 37_500 else "." for n in range(300))


def test_rules_come_before_ramps_and_kills_before_all():
    state = ramped(100, targeting={"if": [{"==": [{"var": "plan"}, "free"]}, "off", None]})
    assert variant(state, targetingKey="u", plan="free") == "off"
    assert variant(state, targetingKey="u") == "on"
    killed = changed(state, Kill(), now=NOW)
    assert variant(killed, targetingKey="u") == "off"
    assert variant(changed(killed, Revive(), now=NOW), targetingKey="u") == "on"


def test_a_killed_flag_gives_the_off_variant_that_was_declared():
    variants = {"new": "b", "old": "a", "none": ""}
    killed = changed(first_state(spec(variants=variants, default_variant="new", off_variant="old"), now=NOW), Kill(), now=NOW)
    assert variant(killed) == "old"
    undeclared = changed(first_state(spec(variants=variants, default_variant="new"), now=NOW), Kill(), now=NOW)
    assert variant(undeclared) == "new"


def test_a_kill_in_one_environment_leaves_the_others_alone():
    state = changed(first_state(spec(default_variant="on"), now=NOW), Kill(environments=(Environment.STAGING,)), now=NOW)
    assert variant(state) == "on"
    assert everybodys_variant(state, Environment.STAGING) == "off"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["var", "==", "if", "in", "sem_ver", "/"]), inner, max_size=2)
        ),
        max_leaves=12,
    ).filter(lambda rules: isinstance(rules, dict)),
    st.dictionaries(st.sampled_from(["a", "", "targetingKey"]), st.text(max_size=3)),
)
@settings(max_examples=200)
def test_no_rule_and_no_context_makes_the_evaluation_raise(rules, context):
    if targeting_problem(rules) is not None:
        return
    found = FlagSet(PRODUCTION, [flag(targeting=rules)], version=1).evaluate("new-checkout", context)
    assert isinstance(found, Answer | Failure)
    json.loads(found.body)


def test_a_fractional_rule_needs_a_user_and_is_called_a_split():
    rules = {"fractional": [["on", 50], ["off", 50]]}
    flags = FlagSet(PRODUCTION, [flag(targeting=rules)], version=1)
    assert flags.evaluate("new-checkout", {}).code == "TARGETING_KEY_MISSING"
    assert flags.evaluate("new-checkout", {"targetingKey": "u"}).reason == "SPLIT"


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        ({"$ref": "staff"}, "$ref"), ({"iff": []}, "'iff'"), ({"if": [], "==": []}, "exactly one"), ({"==": [1]}, "2 arguments"),
        ({"fractional": [["on", 1.5]]}, "share"), ({"fractional": [["on", -1]]}, "share"), ({"fractional": [["on", 0]]}, "add up"),
        ({"sem_ver": [{"var": "v"}, "=>", "1.0.0"]}, "sem_ver"), ({"log": 1}, "'log'"),
    ],
)  # fmt: skip
def test_rules_that_no_evaluator_understands_are_refused_in_words(rules, word):
    assert word in targeting_problem(rules)
    with pytest.raises(ValidationError, match="targeting"):
        spec(targeting=rules)


def test_rules_too_deep_are_refused():
    rules: dict[str, object] = {"var": "a"}
    for _ in range(30):
        rules = {"!": [rules]}
    assert "deeper" in targeting_problem(rules)


@pytest.mark.parametrize(
    "fields",
    [
        {"variants": {"on": True, "off": "no"}, "default_variant": "off"}, {"default_variant": "maybe"}, {"off_variant": "maybe"},
        {"variants": {"on": [1]}, "default_variant": "on"}, {"environments": {}}, {"environments": {"moon": {}}}, {"owner": ""},
        {"environments": {"staging": {"default_variant": "maybe"}}}, {"variants": {}}, {"unknown": 1},
        {"variants": {"on": "x" * 70_000, "off": ""}},
    ],
)  # fmt: skip
def test_a_flag_that_contradicts_itself_is_refused(fields):
    with pytest.raises(ValidationError):
        spec(**fields)


def test_a_ramp_says_what_is_wrong_with_it():
    state = first_state(spec(variants={"a": 1, "b": 2, "c": 3}, default_variant="a", environments={"production": {}}), now=NOW)
    with pytest.raises(InvalidInputError, match="name the variant"):
        changed(state, RampTo(environment=PRODUCTION, percent=5), now=NOW)
    with pytest.raises(InvalidInputError, match="by default"):
        changed(state, RampTo(environment=PRODUCTION, percent=5, variant="a"), now=NOW)
    with pytest.raises(InvalidInputError, match="'z'"):
        changed(state, RampTo(environment=PRODUCTION, percent=5, variant="z"), now=NOW)
    with pytest.raises(InvalidInputError, match="not in staging"):
        changed(state, RampTo(environment=Environment.STAGING, percent=5, variant="b"), now=NOW)
    with pytest.raises(FlagKilledError, match="revive"):
        changed(changed(state, Kill(), now=NOW), RampTo(environment=PRODUCTION, percent=5, variant="b"), now=NOW)
    operation = RampTo(environment=PRODUCTION, percent=5, variant="b")
    again = changed(changed(state, operation, now=NOW), RampTo(environment=PRODUCTION, percent=9), now=NOW)
    assert again.live_in(PRODUCTION).ramp == Ramp(variant="b", percent=9)
    assert named(RampTo(environment=PRODUCTION, percent=9), again).variant == "b"


def test_a_variant_that_is_being_ramped_cannot_be_taken_away():
    with pytest.raises(InvalidInputError, match="being ramped"):
        changed(ramped(5), Edit(patch={"variants": {"off": False}}), now=NOW)


def test_edits_replace_fields_whole_and_environments_one_by_one():
    state = first_state(spec(targeting={"if": [True, "on"]}, environments={"production": {}, "staging": {}}), now=NOW)
    edited = changed(state, Edit(patch={"targeting": {"==": [1, 1]}, "environments": {"staging": None, "development": {}}}), now=NOW).spec
    assert edited.targeting == {"==": [1, 1]}
    assert set(edited.environments) == {Environment.PRODUCTION, Environment.DEVELOPMENT}
    assert changed(state, Edit(patch={"targeting": None}), now=NOW).spec.targeting == {}
    with pytest.raises(InvalidInputError, match="owner"):
        changed(state, Edit(patch={"owner": None}), now=NOW)


def test_the_catalog_takes_over_only_what_it_changed_itself():
    declared = spec(description="old", default_variant="off")
    state = changed(ramped(20), Edit(patch={"description": "edited at night", "owner": "night shift"}), now=NOW)
    after = changed(
        state, Declare(spec=spec(description="old", default_variant="off", expires_on="2026-12-01")), now=NOW, declared=declared
    )
    assert after.spec.description == "edited at night"
    assert after.spec.expires_on == date(2026, 12, 1)
    assert after.live_in(PRODUCTION).ramp == Ramp(variant="on", percent=20)
    assert changed(state, Put(spec=declared), now=NOW).spec == declared


def test_a_later_kill_survives_a_change_that_was_made_before_it():
    base = ramped(20)
    current = changed(base, Kill(), now=NOW)
    wanted = changed(current, RestoreTo(revision=1), now=NOW, earlier=base)
    assert not wanted.live_in(PRODUCTION).killed
    assert keeping_kills(base, current, wanted).live_in(PRODUCTION).killed
    assert keeping_kills(current, current, wanted) == wanted


def test_only_environments_where_somebody_may_see_it_hear_of_a_change():
    state = first_state(spec(), now=NOW)
    assert affected(state, ramped(20)) == [PRODUCTION]
    assert affected(None, state) == list(Environment)
    assert affected(state, changed(state, Archive(), now=NOW)) == list(Environment)
    assert affected(state, changed(state, Kill(environments=(PRODUCTION,)), now=NOW + timedelta(days=1))) == [PRODUCTION]
    assert affected(state, state.model_copy(update={"live": {PRODUCTION: Live(settled_since=NOW)}})) == []


def test_the_stale_report_names_expired_settled_and_unused_flags_and_their_owners():
    old, now = NOW - timedelta(days=100), NOW
    month = timedelta(days=30)
    expired = Flag(
        "expired", "apollo", first_state(spec(expires_on="2026-02-01", targeting={"if": [True, "on"]}), now=old), None, 1, now, now
    )
    full = changed(first_state(spec(), now=old), RampTo(environment=PRODUCTION, percent=50), now=old)
    full = changed(full, RampTo(environment=PRODUCTION, percent=100), now=now - timedelta(days=40))
    settled = Flag("settled", "apollo", full, None, 1, old, now)
    partial = Flag("partial", "apollo", changed(full, RampTo(environment=PRODUCTION, percent=60), now=now), None, 1, old, now)
    archived = Flag("archived", "apollo", changed(full, Archive(), now=now), None, 1, old, now)
    uses = {key: FlagUse(key, PRODUCTION, old, now) for key in ("expired", "settled")}
    found = stale_flags([expired, settled, partial, archived], uses, environment=PRODUCTION, now=now, unused=month, settled=month)
    assert [(each.key, each.reason) for each in found] == [
        ("partial", StaleReason.UNUSED), ("settled", StaleReason.SETTLED), ("expired", StaleReason.EXPIRED)
    ]  # fmt: skip
    assert found[1].detail == "everybody in production has had 'on' for 40 days"
    assert found[0].detail == "made 100 days ago, and never asked for"
    assert {each.owner for each in found} == {"checkout"}
    uses["partial"] = FlagUse("partial", PRODUCTION, old, now - timedelta(days=31))
    (only,) = stale_flags([partial], uses, environment=PRODUCTION, now=now, unused=month, settled=month)
    assert only.detail == "nobody asked for it for 31 days"
