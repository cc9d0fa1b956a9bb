import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainables.hub_cache import snapshot
from trainables.config import DataConfig
from trainables.data.task_data import load_task_data
from trainables.errors import InputError

PAWSX = "google-research-datasets/paws-x"


def write(folder, language, split, count, part="00000-of-00001", **columns):
    path = folder / language / f"{split}-{part}.parquet"
    path.parent.mkdir(exist_ok=True)
    rows = {
        "id": list(range(count)),
        "sentence1": [f"{language} {split} {part} {i}" for i in range(count)],
        "sentence2": [f"{language} other {i}" for i in range(count)],
        "label": [i % 2 for i in range(count)],
    }
    pq.write_table(pa.table({name: column for name, column in (rows | columns).items() if column is not None}), path)
    return path


@pytest.fixture
def cached(monkeypatch, tmp_path):
    """PAWS-X in English (its training set in two parts) and German in a hub cache; the tests are offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = snapshot(tmp_path, "dataset", PAWSX)
    write(folder, "en", "train", 3, "00000-of-00002")
    write(folder, "en", "train", 2, "00001-of-00002")
    write(folder, "en", "validation", 4)
    write(folder, "de", "validation", 4)
    write(folder, "en", "test", 1)
    return folder


def load(*languages, **changes):
    return load_task_data(DataConfig(name="pawsx", languages=languages, train_examples=None, **changes))


def test_the_cache_is_read_without_a_network(cached):
    data = load("de")
    assert sorted(data.train.first) == [*(f"en train 00000-of-00002 {i}" for i in range(3)),
                                        *(f"en train 00001-of-00002 {i}" for i in range(2))]  # fmt: skip
    assert list(data.validation) == ["en", "de"]
    assert sorted(zip(data.validation["de"].second, data.validation["de"].labels, strict=True)) == [
        (f"de other {i}", i % 2) for i in range(4)
    ]


def test_the_hub_and_a_folder_of_the_same_rows_have_one_fingerprint(cached, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for language, split, name in (("en", "train", "train"), ("en", "validation", "dev"), ("de", "validation", "dev")):
        tables = [pq.read_table(path) for path in sorted((cached / language).glob(f"{split}-*"))]
        lines = [
            f"{row['sentence1']}\t{row['sentence2']}\t{row['label']}\n" for table in tables for row in table.to_pylist()
        ]
        (folder / f"{name}-{language}.tsv").write_text("".join(lines))
    assert load("de", source=str(folder)).fingerprint == load("de").fingerprint


def test_an_incomplete_cache_says_what_it_lacks_and_how_to_fetch_it(cached):
    (cached / "de" / "validation-00000-of-00001.parquet").unlink()
    (cached / "de" / "validation-00000-of-00001.parquet").symlink_to(cached / "a blob that is gone")
    with pytest.raises(InputError, match=r"only in part \(.* lacks de/validation-\*.parquet\)") as caught:
        load("de")
    message = str(caught.value)
    assert f"`hf download {PAWSX} --repo-type dataset --include 'en/train-*.parquet'" in message
    assert "--include 'de/validation-*.parquet'`" in message
    assert "or set data.source to a folder of {train,dev}-LANG.tsv files" in message
    assert "\n" not in message


def test_a_language_that_the_data_set_does_not_have(cached):
    with pytest.raises(InputError, match=r"data.languages: pawsx has no language 'fi'; .*it has de, en, es, fr"):
        load("fi")


def test_a_hub_that_moved_its_files_is_named(cached, monkeypatch):
    monkeypatch.setattr("trainables.data.sources.fetch", lambda repository, lacking: cached / "de")
    with pytest.raises(
        InputError, match=r"paws-x has no file en/train-\*.parquet, so no train split in en; set data.source"
    ):
        load("de")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"label": [0, -1, 0, 1]},
            r"validation-00000-of-00001.parquet, row 2: the label is missing \('-1'\), as on 1 of 4 rows",
        ),
        ({"label": [0, 1, None, 1]}, r"row 3: the label is missing, as on 1 of 4 rows; data.unlabelled=drop"),
        ({"label": [0, 1, 2, 1]}, r"row 3: label '2' is not one of 0, 1"),
        ({"sentence2": None}, r"has no column 'sentence2'; it has id, sentence1, label"),
    ],
)
def test_bad_tables_name_the_file(cached, columns, message):
    write(cached, "de", "validation", 4, **columns)
    with pytest.raises(InputError, match=message):
        load("de")


def test_a_damaged_table(cached):
    (cached / "de" / "validation-00000-of-00001.parquet").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match=r"validation-00000-of-00001.parquet is damaged \(.*\); fetch it again"):
        load("de")
