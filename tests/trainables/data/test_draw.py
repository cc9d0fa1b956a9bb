import pytest

from trainables.config import DataConfig
from trainables.data.draw import draw_halves, draw_train, draw_validation
from trainables.errors import InputError

TRIPLETS = [f"premise {i // 3}" for i in range(300)]


def test_train_draw_is_seeded_distinct_and_nested():
    rows = draw_train(100, 50, seed=3)
    assert len(set(rows)) == 50
    assert draw_train(100, 20, seed=3) == rows[:20]
    assert draw_train(100, 50, seed=4) != rows
    assert sorted(draw_train(100, None, seed=3)) == list(range(100))


def test_no_group_is_divided_between_second_stage_and_validation():
    config = DataConfig(stage2_examples=100, validation_examples=150)
    train, validation = draw_validation(TRIPLETS, config)
    assert (len(train), len(validation)) == (100, 150)
    assert not {TRIPLETS[i] for i in train} & {TRIPLETS[i] for i in validation}
    assert (train, validation) == draw_validation(TRIPLETS, config)
    assert draw_validation(TRIPLETS, config.model_copy(update={"seed": 1})) != (train, validation)


def test_file_order_is_half_and_half():
    config = DataConfig(stage2_examples=150, split="file_order")
    assert draw_validation(TRIPLETS, config) == (list(range(150)), list(range(150, 300)))


def test_without_second_stage_all_rows_validate():
    train, validation = draw_validation(TRIPLETS, DataConfig())
    assert train == []
    assert sorted(validation) == list(range(300))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(stage2_examples=301), "data.stage2_examples=301, but the en validation file has 300 rows"),
        (DataConfig(stage2_examples=300), "data.validation_examples=all, but 0 of the 300 rows"),
        (DataConfig(stage2_examples=200, validation_examples=200), "data.validation_examples=200, but 99 of the 300"),
    ],
)
def test_more_rows_than_there_are(config, message):
    with pytest.raises(InputError, match=message):
        draw_validation(TRIPLETS, config)


def test_more_training_rows_than_there_are():
    with pytest.raises(InputError, match="data.train_examples=11, but the English training set has 10 rows"):
        draw_train(10, 11, 0)


def test_halves_divide_no_group_and_are_as_even_as_groups_allow():
    first = [f"s{i // 3}" for i in range(30)] + [f"t{i}" for i in range(11)]
    one, other = draw_halves(first, seed=0)
    assert sorted(one + other) == list(range(41))
    assert abs(len(one) - len(other)) <= 1
    assert not {first[i] for i in one} & {first[i] for i in other}
    assert draw_halves(first, seed=0) == (one, other)
    assert len({tuple(draw_halves(first, seed=seed)[0]) for seed in range(5)}) == 5
    assert draw_halves(["a"] * 4, seed=0) in (([0, 1, 2, 3], []), ([], [0, 1, 2, 3]))
