"""The model of risk: no future leaks, its file is exact and safe, and it speaks only where it earned it."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from productops.adapters.development_risk_files import load_model, public_prior, save_model
from productops.domain.catalog_approvals import RiskLevel
from productops.domain.development_risk import ChangeRecord, LearnedRisk, Measures, assess, history_of, learn_risk, level_of
from productops.domain.development_risk_file import read_model, write_model
from productops.domain.development_risk_trust import Outcome, trust, watch_drift
from productops.domain.governance_approvals_risk import RiskFacts, RiskRule
from productops.domain.release import Environment
from productops.errors import RiskModelError
from productops.stats import risk_scores
from productops.stats.risk_calibration import Calibration, calibrate, probability
from productops.stats.risk_features import NAMES, features
from productops.stats.risk_model import learn, log_odds, predict, shares

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def _has_lightgbm() -> bool:
    try:
        import lightgbm  # noqa: F401 - whether its libraries are there shows only when it is loaded
    except (ImportError, OSError):
        return False
    return True


WITH_TREES = _has_lightgbm()
needs_trees = pytest.mark.skipif(not WITH_TREES, reason="LightGBM cannot be loaded here; its wheels need the system's libgomp")


def venture(count: int, seed: int = 1) -> list[ChangeRecord]:
    """Changes every two hours whose chance to break something grows with their lines; outcomes are known after ten days."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        added = float(np.floor(np.exp(random.uniform(0, 7))))
        at = NOW - timedelta(hours=2 * (count - number))
        broke = bool(random.random() < expit(0.9 * np.log1p(added) - 4.5))
        size = Measures(1, 1, 1 + number % 5, 0.5, added, added // 3, 300, number % 4 == 0, 3, 9, 20, 50, 10, 5)
        found.append(ChangeRecord(f"c{number}", at, f"a{number % 7}", size, broke, at + timedelta(days=10)))
    return found


@pytest.fixture(scope="module")
def model():
    return learn_risk(venture(700), now=NOW, prior=public_prior().trees, with_trees=WITH_TREES)


def test_a_feature_never_changes_by_what_came_later():
    records = venture(120)
    whole, early = features(history_of(records)), features(history_of(records[:80]))
    np.testing.assert_array_equal(whole[:80], early)


def test_an_outcome_changes_no_feature_before_it_is_known():
    records = venture(200)
    turned = [ChangeRecord(r.id, r.at, r.author, r.measures, not r.broke, r.known_at) if n == 50 else r for n, r in enumerate(records)]
    told = np.any(features(history_of(records)) != features(history_of(turned)), axis=1)
    since = next(n for n, r in enumerate(records) if r.at >= records[50].known_at)
    assert not told[:since].any()
    assert told[since:].any()


def test_learning_ignores_outcomes_that_were_not_known_yet():
    records = venture(400)
    early = NOW - timedelta(days=8)
    turned = [ChangeRecord(r.id, r.at, r.author, r.measures, not r.broke if r.known_at > early else r.broke, r.known_at) for r in records]
    first, second = (learn_risk(each, now=early, with_trees=False) for each in (records, turned))
    assert write_model(first, provenance={}) == write_model(second, provenance={})


@needs_trees
def test_the_model_finds_what_breaks_and_its_probabilities_come_true(model):
    later = venture(1200, seed=2)
    rows = features(history_of(later))
    label = np.array([int(each.broke) for each in later])
    said = predict(model, rows)
    assert risk_scores.auc(label, said) > 0.75
    assert risk_scores.calibration_error(label, said) < 0.08


@needs_trees
def test_numpy_answers_from_json_what_lightgbm_answers():
    import lightgbm

    random = np.random.default_rng(3)
    rows = random.normal(size=(500, 58)).round(2)
    label = (rows[:, 0] + random.normal(size=500) > 0).astype(int)
    data = lightgbm.Dataset(rows, label.astype(float))
    grown = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1, "boost_from_average": False}, data, 30)
    from productops.stats.risk_trees import _flat, answer

    trees = _flat([each["tree_structure"] for each in grown.dump_model()["tree_info"]])
    np.testing.assert_allclose(answer(trees, rows), grown.predict(rows, raw_score=True), atol=1e-9, rtol=0)


def test_a_model_read_from_its_file_says_exactly_the_same(model, tmp_path):
    path = tmp_path / "model.json"
    save_model(path, model, provenance={"by": "test"})
    again, provenance = load_model(path)
    rows = features(history_of(venture(100, seed=4)))
    np.testing.assert_array_equal(log_odds(again, rows), log_odds(model, rows))
    assert provenance == {"by": "test"}


def test_shares_of_features_add_up_to_the_whole_difference(model):
    rows = features(history_of(venture(50, seed=5)))
    rest = [model.calibration.slope * log_odds(model, row[None])[0] - shares(model, row).sum() for row in rows]
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)


def test_the_public_prior_is_small_holds_no_data_and_says_where_it_is_from():
    from importlib.resources import files

    text = files("productops.adapters").joinpath("development_risk_prior.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert len(text) <= 200_000
    assert "MIT" in document["provenance"]["licence"]
    assert set(document) == {"format", "provenance", "features", "intercept", "trees", "linear", "linear_share", "calibration", "threshold",
                             "changes", "broke"}  # fmt: skip


def test_a_new_venture_starts_from_the_prior_and_learns_only_the_calibration():
    young = learn_risk(venture(260), now=NOW, prior=public_prior().trees, with_trees=False)
    assert young.linear is None
    assert len(young.trees) == len(public_prior().trees)


def broken(model, **changes) -> str:
    document = json.loads(write_model(model, provenance={}))
    for place, value in changes.items():
        inner, _, name = place.partition("__")
        if name:
            document[inner][name] = value
        else:
            document[inner] = value
    return json.dumps(document)


LOOP = {"roots": [0], "feature": [0, -1, -1], "threshold": [0.0] * 3, "right": [0, 0, 0], "value": [0.0] * 3}


@pytest.mark.parametrize(
    "change",
    [
        {"trees": LOOP},
        {"trees": LOOP | {"right": [99, 0, 0]}},
        {"trees": LOOP | {"right": [2, 0, 0], "feature": [58, -1, -1]}},
        {"trees": LOOP | {"right": [2, 0, 0], "value": [0.0, 1e300, 0.0]}},
        {"trees": LOOP | {"right": [2, 0, 0], "value": [0.0]}},
        {"trees": LOOP | {"right": [2, 0, 0], "roots": [0, 0]}},
        {"calibration__slope": -1.0},
        {"calibration__offset": float("nan")},
        {"intercept": "0"},
        {"features": ["la"]},
        {"broke": 10**8},
        {"format": "pickle"},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_hostile_or_damaged_model_is_refused_with_a_reason(model, change):
    with pytest.raises(RiskModelError, match="evil.json"):
        read_model(broken(model, **change), source="evil.json")


@given(st.binary(max_size=300) | st.text(max_size=300) | st.just("[" * 5000))
def test_anything_else_than_a_model_is_refused(content):
    with pytest.raises(RiskModelError):
        read_model(content, source="file")


def test_a_file_that_is_not_there_names_itself(tmp_path):
    with pytest.raises(RiskModelError, match="none.json"):
        load_model(tmp_path / "none.json")


def test_reasons_are_words_with_figures(model):
    records = venture(300, seed=6)
    big = Measures(1, 1, 1, 0.5, 2000, 100, 300, False, 3, 9, 20, 50, 10, 5)
    found = assess(model, [*records, ChangeRecord("new", NOW, "a1", big)], new=["new"])[0]
    assert found.risky
    assert found.level is not RiskLevel.LOW
    assert found.reasons[0].text.startswith("2000 lines added and 100 deleted")
    assert found.reasons[0].effect > 0


def test_the_learned_level_only_raises_what_the_rule_says(model):
    records = venture(300, seed=6)
    big = Measures(1, 1, 1, 0.5, 2000, 100, 300, False, 3, 9, 20, 50, 10, 5)
    told = tuple(assess(model, [*records, ChangeRecord("new", NOW, "a1", big)], new=["new"]))
    facts = RiskFacts("release", Environment.STAGING, NOW.replace(hour=10), size_lines=2100)
    assert RiskRule().rate(facts).level is RiskLevel.LOW
    raised = LearnedRisk(RiskRule(), told, trusted=True).rate(facts)
    assert raised.level is told[0].level is not RiskLevel.LOW
    assert any("lines added" in each for each in raised.reasons)
    assert LearnedRisk(RiskRule(), told, trusted=False).rate(facts) == RiskRule().rate(facts)
    assert LearnedRisk(RiskRule(), (), trusted=True).rate(facts) == RiskRule().rate(facts)


@given(st.floats(0, 1), st.floats(0.01, 1))
def test_a_higher_chance_never_has_a_lower_level(chance, usual):
    order = list(RiskLevel)
    assert order.index(level_of(chance, usual)) <= order.index(level_of(1.0, usual))


def outcomes(count: int, *, informed: bool, seed: int = 1, shift: float = 0.0) -> list[Outcome]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        truth, lines = random.normal(-0.5, 1.3), float(random.integers(1, 500))
        said = float(expit(truth + shift)) if informed else float(expit(-0.5 + 0.2 * random.normal()))
        found.append(Outcome(said, lines, lines * 1.2, bool(random.random() < expit(truth))))
    return found


def test_a_model_is_trusted_when_it_beats_the_size_of_changes_on_later_ones():
    found = trust(outcomes(400, informed=True), usual=0.4)
    assert found.trusted
    assert "on 400 later changes its AUC is 0." in found.why


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (outcomes(60, informed=True), "only 60 later changes"),
        (outcomes(400, informed=False), "not surely better than the size"),
        (outcomes(400, informed=True, shift=3), "its probabilities"),
    ],
)
def test_a_model_that_did_not_earn_it_is_not_trusted_and_says_why(told, why):
    found = trust(told, usual=0.4)
    assert not found.trusted
    assert why in found.why


def test_drift_is_seen_in_features_order_and_calibration_and_not_in_chance():
    rows = features(history_of(venture(600)))
    moved = rows[300:].copy()
    moved[:, NAMES.index("lt")] += np.linspace(500, 900, 300)
    steady = outcomes(800, informed=True)
    assert not watch_drift(np.empty((0, 58)), np.empty((0, 58)), steady).drifted
    worse = watch_drift(rows[:300], moved, [*steady, *outcomes(200, informed=False, seed=2)])
    assert "lt" in dict(worse.features)
    assert any("the order got worse" in each for each in worse.warnings)
    off = watch_drift(np.empty((0, 58)), np.empty((0, 58)), [*steady, *outcomes(200, informed=True, seed=3, shift=2)])
    assert any("off by" in each for each in off.warnings)


def test_calibration_follows_a_share_that_falls():
    random = np.random.default_rng(1)
    score = random.normal(0, 1, 3000)
    label = (random.random(3000) < expit(score - 1.5)).astype(int)
    before = risk_scores.calibration_error(label[2000:], expit(score[2000:]))
    after = risk_scores.calibration_error(label[2000:], probability(calibrate(score[:2000], label[:2000]), score[2000:]))
    assert after < 0.05 < before


def test_no_outcomes_change_no_calibration():
    assert calibrate(np.empty(0), np.empty(0, int), start=Calibration(0.7, -1.0)) == Calibration(0.7, -1.0)


def test_known_answers_of_the_scores():
    label, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    assert risk_scores.auc(label, score) == 0.75
    assert risk_scores.auc(np.ones(3, int), np.ones(3)) is None
    assert risk_scores.brier(label, np.full(4, 0.5)) == 0.25
    assert risk_scores.calibration_error(np.array([1, 1, 0, 0]), np.full(4, 0.5)) == 0
    assert risk_scores.balanced_accuracy(label, score >= 0.5) == 0.75
    assert risk_scores.psi(np.arange(100.0), np.arange(100.0)) == pytest.approx(0)


def test_the_best_order_has_a_popt_of_one_and_the_worst_of_zero():
    label, effort = np.array([1, 0, 1, 0]), np.array([10.0, 1.0, 5.0, 100.0])
    best = label / effort - np.array([0, 1e-6, 0, 0])
    assert risk_scores.popt(label, best, effort) == pytest.approx(1, abs=1e-6)
    assert risk_scores.popt(label, np.array([0.1, 0.8, 0.0, 0.9]), effort) == pytest.approx(0, abs=0.02)


def test_an_order_is_no_better_than_itself():
    label, score = np.array([1, 0, 1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.3])
    gain, error = risk_scores.auc_gain(label, score, score)
    assert (gain, error) == (0, 0)
    assert logit(0.5) == 0


def test_learning_refuses_labels_that_are_not_known():
    with pytest.raises(ValueError, match="0 or 1"):
        learn(np.zeros((3, 58)), np.array([0, -1, 1]))
