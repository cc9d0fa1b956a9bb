from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from study.search_space import Choice, Grid, LogUniform, Uniform, expand, log_grid
from trainables.errors import InputError


def test_a_grid_is_a_product_in_order() -> None:
    points = expand({"a": Grid(values=(1, 2)), "b": Grid(values=("x", None))}, seed="s")
    assert points == [{"a": 1, "b": "x"}, {"a": 1, "b": None}, {"a": 2, "b": "x"}, {"a": 2, "b": None}]


def test_an_empty_space_is_one_point() -> None:
    assert expand({}, seed="s") == [{}]


def test_also_takes_the_same_value() -> None:
    space = {"a": Uniform(low=0.0, high=1.0, samples=3, also=("b", "c"))}
    for point in expand(space, seed="s"):
        assert point["a"] == point["b"] == point["c"]


def test_draws_depend_on_seed_path_and_index_alone() -> None:
    alone = expand({"a": Uniform(low=0.0, high=1.0, samples=3)}, seed="s")
    joined = expand(
        {"b": LogUniform(low=1e-3, high=1.0, samples=5), "a": Uniform(low=0.0, high=1.0, samples=5)}, seed="s"
    )
    assert [point["a"] for point in joined[:3]] == [point["a"] for point in alone]
    assert expand({"a": Uniform(low=0.0, high=1.0, samples=3)}, seed="s") == alone
    assert expand({"a": Uniform(low=0.0, high=1.0, samples=3)}, seed="t") != alone


def test_draws_multiply_a_grid() -> None:
    points = expand({"a": Grid(values=(1, 2)), "b": Uniform(low=0.0, high=1.0, samples=3)}, seed="s")
    assert [point["a"] for point in points] == [1, 1, 1, 2, 2, 2]
    assert [point["b"] for point in points[:3]] == [point["b"] for point in points[3:]]


def test_draws_are_uniform_on_their_scale() -> None:
    count = 4000
    flat = [point["a"] for point in expand({"a": Uniform(low=2.0, high=4.0, samples=count)}, seed="s")]
    logs = [math.log10(point["a"]) for point in expand({"a": LogUniform(low=1e-4, high=1.0, samples=count)}, seed="s")]
    # The mean of n uniform draws over a width w has standard deviation w / sqrt(12 n); five of them.
    assert abs(sum(flat) / count - 3.0) < 5 * 2 / math.sqrt(12 * count)
    assert abs(sum(logs) / count + 2.0) < 5 * 4 / math.sqrt(12 * count)
    assert min(flat) >= 2.0
    assert max(flat) <= 4.0


def test_draws_show_whole_in_a_label() -> None:
    values = [point["a"] for point in expand({"a": LogUniform(low=1e-6, high=1e-2, samples=50)}, seed="s")]
    assert all(float(f"{value:g}") == value for value in values)


def test_choice_draws_every_value() -> None:
    values = [point["a"] for point in expand({"a": Choice(values=("x", "y"), samples=200)}, seed="s")]
    assert 70 < values.count("x") < 130


def test_rounding_never_leaves_the_bounds() -> None:
    space = Uniform(low=0.12345678, high=0.12345679, samples=1)
    assert 0.12345678 <= space.quantile(0.0) <= 0.12345679


def test_joint_draws_take_one_number_of_samples() -> None:
    space = {"a": Uniform(low=0.0, high=1.0, samples=3), "b": Uniform(low=0.0, high=1.0, samples=4)}
    with pytest.raises(InputError, match=r"one number of samples, got \[3, 4\]"):
        expand(space, seed="s")


def test_draws_without_a_number_are_refused() -> None:
    with pytest.raises(InputError, match="a is drawn, so give its distribution a number of samples, or its arm slots"):
        expand({"a": Uniform(low=0.0, high=1.0)}, seed="s")


def test_probes_reach_the_bounds_and_a_fraction() -> None:
    for space in (Uniform(low=1.0, high=5.0), LogUniform(low=1.0, high=5.0)):
        low, middle, high = space.probes()
        assert (low, high) == (1.0, 5.0)
        assert isinstance(middle, float)
        assert not middle.is_integer()
    assert Choice(values=("x", None)).probes() == ("x", None)


def test_a_distribution_says_what_it_draws() -> None:
    spaces = (Uniform(low=0.0, high=0.5), LogUniform(low=1e-6, high=1.0), Choice(values=(1, None)))
    assert [space.text() for space in spaces] == ["0 to 0.5", "1e-06 to 1 (log scale)", "one of 1, null"]


@pytest.mark.parametrize("kind", [Uniform, LogUniform])
def test_bounds_are_ordered(kind: type[Uniform]) -> None:
    with pytest.raises(ValidationError, match=r"low < high must hold, got low=1 high=0\.5"):
        kind(low=1.0, high=0.5, samples=1)


def test_a_grid_takes_distinct_values() -> None:
    with pytest.raises(ValidationError, match="distinct values, got 1, 2, 1"):
        Grid(values=(1, 2, 1))


def test_log_grid_is_evenly_spaced() -> None:
    assert log_grid(1e-6, 1e-2, 5) == (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
    assert len(log_grid(1e-3, 10, 6)) == 6
