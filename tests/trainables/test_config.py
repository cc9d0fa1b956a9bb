import pytest

from trainables.config import TrialConfig
from trainables.config.dotted_paths import flatten, parse, paths, with_values
from trainables.errors import InputError


def test_every_path_has_a_description():
    assert all(paths().values())
    assert {"stages.0.consistency.weight", "stages.1.epochs", "data.languages", "measure.trace_every"} <= set(paths())


def test_flatten_has_the_same_keys_for_every_configuration_and_null_where_a_part_is_absent():
    config = with_values(TrialConfig(), {"stages.0.penalties.l2.weight": 0.5})
    assert list(flatten(config)) == list(flatten(TrialConfig())) == list(paths())
    assert flatten(config)["stages.0.penalties.l2.weight"] == 0.5
    assert flatten(TrialConfig())["stages.0.penalties.l2.weight"] is None


def test_round_trip_through_json_is_exact():
    config = with_values(TrialConfig(), {"stages.0.noise.kind": "embedding_gaussian", "stages.0.noise.strength": 0.1})
    assert parse(config.model_dump(mode="json")) == config


def test_text_values_are_converted_as_from_the_command_line():
    config = with_values(
        TrialConfig(), {"data.languages": "de,zh", "stages.0.epochs": "7", "data.train_examples": "null"}
    )
    assert config.data.languages == ("de", "zh")
    assert config.stages[0].epochs == 7
    assert config.data.train_examples is None


def test_a_list_is_text_with_commas_also_in_a_part_that_is_absent():
    config = with_values(TrialConfig(), {"measure.expansion.sigmas": "1e-3,1e-2", "measure.rivals": "margin"})
    assert config.measure.expansion.sigmas == (1e-3, 1e-2)
    assert config.measure.expansion.draws == 10
    assert config.measure.rivals == ("margin",)
    assert with_values(config, {"measure.rivals": ""}).measure.rivals == ()


HUB = {
    "data.name": "custom",
    "data.source": "hub",
    "data.repository": "a/b",
    "data.files": "{language}/{split}.csv",
    "data.columns": "text,label",
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages.0.epocs": 1}, "unknown configuration path 'stages.0.epocs'; did you mean stages.0.epochs"),
        (
            {"measure.estimator": "exact", "measure.estimator_draws": 2},
            "draws=2 needs an estimator that draws",
        ),
        ({"zzz": 1}, "unknown configuration path 'zzz'; the paths are listed"),
        ({"stages.0.epochs": "many"}, "stages.0.epochs: input should be a valid integer.*'many'"),
        ({"stages.0.epochs": 0}, "stages.0.epochs: input should be greater than or equal to 1, got 0"),
        ({"data.name": "snli"}, "unknown data.name 'snli'; did you mean xnli.* known are americas_nli, custom"),
        ({"data.languages": "de,en"}, "data.languages takes distinct target languages without 'en', got de,en"),
        (
            {"data.name": "custom"},
            "data.name=custom needs a folder of .*-LANG.tsv .*; got 'hub' without data.repository",
        ),
        ({"data.name": "custom", "data.source": "bundled"}, "data.name=custom needs a folder .* got 'bundled'"),
        ({"data.repository": "a/b"}, "data.repository is for data.name=custom with data.source=hub"),
        ({**HUB, "data.columns": "text"}, "data.columns takes one or two columns and the label's, got text"),
        (
            {**HUB, "data.files": "../{language}/{split}"},
            r"data.files takes a pattern with {language} and {split}, got",
        ),
        ({**HUB, "data.files": "{split}"}, r"data.files takes a pattern with {language} and {split}, got '{split}'"),
        ({"data.stage2_twins": True}, "data.stage2_twins=true needs data.stage2_source=train"),
        ({"data.labels": "yes,no"}, "data.labels is for data.name=custom; xnli has its own labels"),
        ({"data.languages": "de,../x"}, r"data.languages.1: .*, got '../x'"),
        ({"data.name": "custom", "data.source": "x", "data.labels": "a,b, a"}, "two or more distinct labels, got a,b"),
        ({"data.name": "custom", "data.source": "x", "data.labels": "a"}, "two or more distinct labels, got a$"),
        ({"data.stage2_examples": 9, "data.languages": ""}, "data.stage2_examples=9, but data.languages names no"),
        ({"data.drop_untranslated": "perhaps"}, "data.drop_untranslated: input should be a valid boolean.*'perhaps'"),
        ({"data.languages": "de,de"}, "data.languages takes distinct target languages"),
        ({"stages.0.accumulation": 5}, "accumulation must divide batch_size, got batch_size=32, accumulation=5"),
        ({"stages.0.consistency.dropout": "shared"}, "needs a view that keeps the tokens in place, and 'subword'"),
        ({"measure.trace_languages": "fr"}, "measure.trace_languages must be among data.languages, got fr"),
        (
            {"measure.rivals": "margin,flatness"},
            "unknown rival of Tr\\(F\\) 'flatness'; did you mean relative_flatness",
        ),
        ({"measure.twins": "1,-1,0"}, "measure.twins takes distinct exponents of two other than 0, got 1,-1,0"),
        ({"measure.twins": "1,1"}, "measure.twins takes distinct exponents of two other than 0, got 1,1"),
        ({"measure.twins": "0.3"}, "measure.twins.0: input should be a valid integer.*'0.3'"),
        ({"measure.expansion.sigmas": "1e-3,0"}, "measure.expansion.sigmas.1: input should be greater than 0, got '0'"),
        ({"measure.expansion.sigmas": ""}, "measure.expansion.sigmas: tuple should have at least 1 item"),
        ({"measure.expansion.sigmas": "1e-3,0.001"}, "measure.expansion.sigmas takes distinct values, got 0.001,0.001"),
        ({"measure.expansion.draws": 0}, "measure.expansion.draws: input should be greater than or equal to 1, got 0"),
        ({"stages.0.optimizer.learning_rate": "nan"}, "stages.0.optimizer.learning_rate: input should be"),
    ],
)
def test_bad_values_are_one_clear_error(values, message):
    with pytest.raises(InputError, match=message) as caught:
        with_values(TrialConfig(), values)
    assert "\n" not in str(caught.value)


def test_unknown_keys_are_refused():
    with pytest.raises(InputError, match="model.nmae: extra inputs are not permitted"):
        parse({"model": {"nmae": "x"}})


def test_blanks_around_the_items_of_a_list_do_not_count():
    values = {
        "data.languages": "zh-CN, pt_BR ,",
        "measure.expansion.sigmas": " 1e-3, 1e-2",
        "data.train_examples": " null",
    }
    config = with_values(TrialConfig(), values)
    assert config.data.languages == ("zh-CN", "pt_BR")
    assert config.measure.expansion.sigmas == (1e-3, 1e-2)
    assert config.data.train_examples is None


def test_the_estimator_of_the_trace_is_passed_on_under_the_names_of_fisher_trace():
    assert TrialConfig().measure.trace_options() == {}
    values = {"measure.estimator": "monte_carlo", "measure.estimator_draws": 3}
    assert with_values(TrialConfig(), values).measure.trace_options() == {"estimator": "monte_carlo", "samples": 3}
