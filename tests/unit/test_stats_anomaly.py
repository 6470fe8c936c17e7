"""The streaming detector: what it must see, and what must leave it cold."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from productops.domain.monitoring_detect import pack, unpack
from productops.stats.anomaly import HORIZONS, STATE, AnomalyBank
from productops.stats.anomaly_counts import rarity_of_failures, rarity_of_few

Floats = NDArray[np.float64]
STEP_S = 300.0


def alarms(values: Floats, *, step_s: float = STEP_S) -> NDArray[np.bool_]:
    """(points, series): where an episode begins."""
    bank = AnomalyBank(values.shape[1], step_s)
    return np.array([bank.update(number * step_s, row).begins for number, row in enumerate(values)])


def days(count: int, seed: int, series: int = 4) -> Floats:
    """Daily waves with noise, in five-minute points."""
    random = np.random.default_rng(seed)
    at = np.arange(count * 288)[:, None]
    return 100.0 + 30.0 * np.sin(2 * np.pi * at / 288) + random.normal(0, 2.0, (len(at), series))


def test_noise_on_a_learned_day_alarms_less_than_twice_a_week_at_the_threshold_of_the_benchmarks() -> None:
    found = alarms(days(5, 1, series=50))
    assert found.sum() <= 75


def test_a_missing_rise_is_seen_though_its_values_are_all_usual() -> None:
    values = days(9, 2)
    noon = 8 * 288
    values[noon : noon + 144] = 100.0 - 30.0 * np.sin(2 * np.pi * np.arange(noon, noon + 144) / 288)[:, None]
    assert alarms(values)[noon : noon + 144].any(axis=0).all()


def test_a_spike_far_beyond_the_noise_is_seen_at_once() -> None:
    values = days(5, 3)
    values[4 * 288, :] += 120.0
    assert alarms(values)[4 * 288].all()


def test_what_prediction_knows_stays_symmetric_to_the_last_bit_or_it_would_drift_away_in_a_week() -> None:
    values = days(2, 10)
    bank = AnomalyBank(values.shape[1], STEP_S)
    for number, row in enumerate(values):
        bank.update(number * STEP_S, row)
    assert np.array_equal(bank.inverse, bank.inverse.transpose(0, 2, 1))


def test_nothing_looks_ahead() -> None:
    values = days(3, 4)
    changed = values.copy()
    changed[600:] *= 3.0
    assert np.array_equal(alarms(values)[:600], alarms(changed)[:600])


def test_values_that_do_not_come_change_nothing() -> None:
    values = days(2, 5, series=1)
    gaps = values.copy()
    gaps[::7] = np.nan
    bank = AnomalyBank(1, STEP_S)
    for number, row in enumerate(gaps):
        look = bank.update(number * STEP_S, row)
        if np.isnan(row[0]):
            assert not look.begins[0]
            assert np.isneginf(look.margin[0])
    assert bank.points[0] == np.isfinite(gaps).sum()


def test_many_series_at_once_are_judged_as_each_alone() -> None:
    values = days(2, 6, series=3)
    values[500, 1] += 80.0
    values[::11, 2] = np.nan
    together = AnomalyBank(3, STEP_S)
    alone = [AnomalyBank(1, STEP_S) for _ in range(3)]
    for number, row in enumerate(values):
        margins = together.update(number * STEP_S, row).margin
        each = [bank.update(number * STEP_S, row[[index]]).margin[0] for index, bank in enumerate(alone)]
        np.testing.assert_allclose(margins, each, rtol=1e-6, atol=1e-6)


def test_a_value_beyond_all_before_is_seen_at_once_though_spikes_are_usual_here() -> None:
    random = np.random.default_rng(9)
    spikes = np.where(random.random(1000) < 0.05, random.uniform(20, 100, 1000), 0.0)
    values = 10.0 + random.normal(0, 1.0, 1000) + spikes
    values[900:] = 10.0
    values[900] = values[:900].max() + 0.2 * np.ptp(values[:900])
    bank = AnomalyBank(1, STEP_S)
    looks = [bank.update(number * STEP_S, np.array([value])) for number, value in enumerate(values)]
    assert looks[900].begins[0]
    assert HORIZONS[looks[900].horizon[0]] == "beyond all before"
    assert looks[900].up[0]


@pytest.mark.parametrize("value", [0.0, 45.0, 1e9])
def test_a_constant_never_alarms(value: float) -> None:
    assert not alarms(np.full((500, 1), value)).any()


def test_what_was_learned_survives_packing() -> None:
    values = days(2, 7, series=2)
    bank = AnomalyBank(2, STEP_S)
    for number, row in enumerate(values[:-10]):
        bank.update(number * STEP_S, row)
    shapes = {name: tuple(getattr(bank, name).shape[1:]) for name in STATE}
    packed = pack({name: getattr(bank, name)[1] for name in STATE})
    state = unpack(packed, shapes)
    assert state is not None
    assert len(packed) < 4000
    fresh = AnomalyBank(1, STEP_S)
    for name, value in state.items():
        getattr(fresh, name)[0] = value
    for number, row in enumerate(values[-10:], start=len(values) - 10):
        expected = bank.update(number * STEP_S, row).expected[1]
        assert fresh.update(number * STEP_S, row[[1]]).expected[0] == pytest.approx(expected, rel=1e-3)


def test_a_damaged_state_is_learned_anew() -> None:
    assert unpack(b"no zip", {"a": (1,)}) is None
    assert unpack(pack({"a": np.zeros(3)}), {"a": (2,)}) is None


def test_few_requests_prove_nothing() -> None:
    assert rarity_of_failures(1, 2, 0.01) < 3
    assert rarity_of_failures(50, 100, 0.01) > 50
    assert rarity_of_failures(0, 100, 0.01) == 0
    assert rarity_of_failures(0, 0, 0.01) == 0
    assert rarity_of_failures(10, 10, 0.1) == pytest.approx(10.0)


def test_silence_is_rarer_the_more_was_expected() -> None:
    assert rarity_of_few(0, 10) < rarity_of_few(0, 100)
    assert rarity_of_few(0, 100, dispersion=50) < 1
    assert rarity_of_few(120, 100) == 0
