from trainables.measuring.measurements import DEFINITIONS, defined_as


def test_every_measurement_is_found_by_any_name_that_it_stands_for() -> None:
    for name in DEFINITIONS:
        assert defined_as(name.replace("LANG", "zh").replace("NAME", "layer.1").replace(".K.", ".-2.")) == name
    assert defined_as("stage2.zh_Hant.gain") == "stage2.LANG.gain"
    assert defined_as("config.data.name") is None
