import io

import pandas as pd

from analysis.page.tables import table_files
from trainables.measuring.measurements import DEFINITIONS


def test_every_column_has_its_meaning() -> None:
    columns = ["arm", "seconds", "version.torch", "config.seed", "accuracy.zh", "twin.-2.fisher_trace", "unknown"]
    files = table_files(pd.DataFrame(columns=columns), pd.DataFrame(columns=["step"]))
    table = pd.read_csv(io.BytesIO(files["columns.csv"]), keep_default_na=False)
    meanings = dict(zip(table["column"], table["meaning"], strict=True))
    assert [name for name, meaning in meanings.items() if not meaning] == ["unknown"]
    assert meanings["twin.-2.fisher_trace"] == DEFINITIONS["twin.K.NAME"]
    assert meanings["version.torch"] == "version of that package"
