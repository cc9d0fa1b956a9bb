"""The pretraining code against slow definitions in float64, and tiny runs of it."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import BertModel

from tools.bundled.data.grammar import LANGUAGES
from tools.bundled.model import __main__ as command
from tools.bundled.model import corpus, pairs, tokenizer, training, warm_start
from tools.bundled.model.corpus import Corpus
from tools.bundled.model.objective import PAIR_WEIGHT, TAG_WEIGHT, WRONG_PIECE_WEIGHT, Figures, PretrainingModel
from trainables.models.mini import FOLDER

NUM_RECORDS = 40


@pytest.fixture(scope="module")
def text() -> Corpus:
    return corpus.encode(list(corpus.sentences(NUM_RECORDS, seed=0)), tokenizer.build())


@pytest.fixture(autouse=True)
def _threads_stay() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(num_threads)


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_tiny_run_learns_and_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    seen: list[training.Progress] = []
    num_steps = pairs.POOLED_BATCHES + 1
    for name in ("first", "second"):
        training.pretrain(tmp_path / name, num_steps=num_steps, num_records=NUM_RECORDS, report=seen.append)
    first, second, committed = digest(tmp_path / "first"), digest(tmp_path / "second"), digest(FOLDER)
    assert first == second
    assert first.keys() == committed.keys()
    assert {name for name in first if first[name] != committed[name]} == {"model.safetensors"}
    assert [progress.step for progress in seen] == [*range(1, num_steps + 1)] * 2
    losses = [progress.figures.masked_loss for progress in seen[:num_steps]]
    assert losses[0] == pytest.approx(math.log(2400), abs=0.5)
    assert losses[-1] < losses[0] - 0.05


def test_another_seed_gives_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_start, "piece_embeddings", lambda text, *shape: 0.05 * torch.randn(shape))  # saves seconds
    for seed in (1, 2):
        training.pretrain(tmp_path / str(seed), seed=seed, num_steps=1, num_records=NUM_RECORDS, report=lambda _: None)
    assert digest(tmp_path / "1")["model.safetensors"] != digest(tmp_path / "2")["model.safetensors"]


def test_command_prints_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = Figures(masked_loss=2.0, masked_accuracy=0.5, pair_accuracy=math.nan, tag_accuracy=0.75)

    def pretend(folder: Path, *, seed: int, num_steps: int, report: Callable[[training.Progress], None]) -> None:
        assert (folder, seed) == (tmp_path / "model", 5)
        for step in range(1, num_steps + 1):
            report(training.Progress(step, figures._replace(pair_accuracy=0.25) if step == 2 else figures))

    monkeypatch.setattr(command, "pretrain", pretend)
    command.main(["--out", str(tmp_path / "model"), "--seed", "5", "--steps", "150"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        "step 100 of 150: masked loss 2.00, accuracy: masked 0.50, pair 0.25, tag 0.75",
        "step 150 of 150: masked loss 2.00, accuracy: masked 0.50, pair nan, tag 0.75",
    ]
    assert lines[-1].endswith("model")


def test_command_draws_a_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretend(folder: Path, *, seed: int, num_steps: int, report: Callable[[training.Progress], None]) -> None:
        report(training.Progress(num_steps, Figures(2.0, 0.5, 0.25, 0.75)))

    monkeypatch.setattr(command, "pretrain", pretend)
    monkeypatch.setattr(command, "Console", lambda: Console(force_terminal=True, width=160))
    command.main(["--out", str(tmp_path), "--steps", "3"])
    out = capsys.readouterr().out
    assert "pretraining" in out
    assert "100%" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "model", "--steps", "0"], "--steps takes a number of 1 or more, got 0"),
        (["--out", str(Path(__file__))], "--out takes a folder that can be written to"),
        ([], "the following arguments are required: --out"),
    ],
)
def test_wrong_arguments_are_user_errors(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_text_has_twelve_sentences_a_record_and_a_changed_wording() -> None:
    sentences = list(corpus.sentences(NUM_RECORDS, seed=0))
    assert len(sentences) == NUM_RECORDS * 12
    assert sentences[:3] != sentences[12:15]
    assert list(corpus.sentences(NUM_RECORDS, seed=0)) == sentences
    assert list(corpus.sentences(NUM_RECORDS, seed=1)) != sentences
    changed = sum(true != other for true, other in zip(sentences[1::3], sentences[2::3], strict=True))
    assert changed > 0.97 * NUM_RECORDS * 4


def test_corpus_finds_its_sentences(text: Corpus) -> None:
    assert text.num_records == NUM_RECORDS
    sentences = list(corpus.sentences(NUM_RECORDS, seed=0))
    wordpiece = tokenizer.build()
    for record, language, wording in ((0, 0, 0), (3, 2, 1), (NUM_RECORDS - 1, 3, 2)):
        ids = wordpiece.encode(sentences[record * 12 + language * 3 + wording], add_special_tokens=False).ids
        assert text.wording(record, language, wording).tolist() == ids
    tags = text.changed_pieces(3, 2)
    assert tags.tolist() == corpus.tagged(text.wording(3, 2, 1), text.wording(3, 2, 2)).tolist()


def test_tags_of_sentences_of_unequal_length_mark_what_was_inserted() -> None:
    true, changed = np.array([7, 8, 9], np.int16), np.array([7, 8, 5, 6, 9], np.int16)
    assert corpus.tagged(true, changed).tolist() == [0, 0, 1, 1, 0]


@pytest.fixture(scope="module")
def small() -> Corpus:
    """A text of few pieces, since the cost of the start grows with the cube of their number."""
    rng = np.random.default_rng(0)
    pieces = [rng.choice(np.arange(5, 120), 8, replace=False).astype(np.int16) for _ in range(NUM_RECORDS * 12)]
    return Corpus(pieces, tags=[])


def test_mutual_information_is_that_of_the_definition(small: Corpus) -> None:
    size, num_records = 130, 6
    found = warm_start.positive_pmi(small, num_records, size)
    records = [
        {int(piece) for language in range(4) for k in (0, 1) for piece in small.wording(record, language, k)}
        for record in range(num_records)
    ]
    expected = np.zeros((size, size))
    for i in set.union(*records):
        for j in set.union(*records):
            both = sum(i in record and j in record for record in records)
            alone = sum(i in record for record in records) * sum(j in record for record in records)
            expected[i, j] = max(0.0, math.log(num_records * both / alone)) if both else 0.0
    assert expected.any()
    np.testing.assert_allclose(found, expected, atol=1e-6)  # float32 logarithms


def test_embeddings_are_aligned_rows_with_noise_and_special_pieces_are_noise(small: Corpus) -> None:
    size, num_pieces = 48, 120
    torch.manual_seed(0)
    rows = warm_start.piece_embeddings(small, num_pieces, size)
    torch.manual_seed(0)
    noise = 0.25 * warm_start.EMBEDDING_SCALE * torch.randn(num_pieces, size)
    assert torch.equal(rows[:5], noise[:5])
    aligned = (rows - noise)[5:].double().numpy()
    length = warm_start.EMBEDDING_SCALE * size**0.5
    np.testing.assert_allclose(np.linalg.norm(aligned, axis=1), length, rtol=1e-5)
    values, vectors = np.linalg.eigh(warm_start.positive_pmi(small, NUM_RECORDS, num_pieces).astype(np.float64))
    leading = np.argsort(-abs(values))[:size]
    expected = (vectors[:, leading] * abs(values[leading]) ** 0.5)[5:]
    expected *= length / np.linalg.norm(expected, axis=1, keepdims=True)
    # Singular vectors have no sign of their own; the inner products of the rows have.
    np.testing.assert_allclose(aligned @ aligned.T, expected @ expected.T, atol=1e-4 * length**2)


def test_warm_heads_look_at_their_like_in_the_other_sentence(small: Corpus) -> None:
    torch.manual_seed(0)
    model = BertModel(training.model_config(120))
    warm_start.start(model, small)
    segments = model.embeddings.token_type_embeddings.weight
    assert torch.allclose(segments[0], -segments[1])
    attention = model.encoder.layer[0].attention.self
    size = attention.attention_head_size
    query, key = attention.query.weight[:size], attention.key.weight[:size]
    direction = segments[0] / segments[0].norm()
    assert torch.allclose(key @ direction, -(query @ direction), atol=1e-5)
    rest = torch.randn(96)
    rest -= (rest @ direction) * direction
    assert torch.allclose(key @ rest, query @ rest, atol=1e-5)
    output = model.encoder.layer[0].attention.output.dense.weight[:, :size] @ attention.value.weight[:size]
    assert torch.allclose(output @ output, -0.64 * output, atol=1e-5)


def test_pairs_of_one_language_never_ask_for_their_meaning(text: Corpus) -> None:
    rng = np.random.default_rng(0)
    language_of = {
        text.wording(record, language, wording).tobytes(): language
        for record in range(NUM_RECORDS)
        for language in range(len(LANGUAGES))
        for wording in range(3)
    }
    drawn = [pairs.draw(text, progress, rng) for progress in (0.0, 0.15, 1.0) for _ in range(1500)]
    asked = [pair for pair in drawn if pair.same_meaning != pairs.IGNORED]
    for pair in asked:
        assert not pair.masked
        assert language_of[pair.first.tobytes()] != language_of[pair.second.tobytes()]
    assert np.mean([pair.same_meaning for pair in asked]) == pytest.approx(0.5, abs=0.07)
    assert np.mean([pair.masked for pair in drawn]) == pytest.approx(pairs.MASKED_PAIRS, abs=0.03)
    assert np.mean([pair.changed_first for pair in drawn]) == pytest.approx(0.5, abs=0.03)


def test_curriculum_begins_with_one_language_and_one_wording(text: Corpus) -> None:
    def shares(progress: float) -> tuple[float, float]:
        rng = np.random.default_rng(1)
        drawn = [pair for pair in (pairs.draw(text, progress, rng) for _ in range(3000)) if not pair.masked]
        asked = np.mean([pair.same_meaning != pairs.IGNORED for pair in drawn])
        alike = np.mean([pair.first.tobytes() == pair.second.tobytes() for pair in drawn])
        return float(asked), float(alike)

    # Two languages: the share not held to one, times 1 - sum of squares of the shares of the languages.
    different = 1 - sum(share**2 for share in pairs.LANGUAGE_SHARES)
    assert shares(0.0)[0] == pytest.approx(0.2 * different, abs=0.03)
    assert shares(0.15)[0] == pytest.approx(0.2 * different, abs=0.03)
    assert shares(0.5)[0] == pytest.approx(0.5 * different, abs=0.03)
    assert shares(0.0)[1] > shares(0.15)[1] + 0.1


def test_batches_hold_a_pool_of_pairs_of_like_length(text: Corpus) -> None:
    found = list(pairs.batches(text, 0.5, np.random.default_rng(0)))
    assert [len(batch) for batch in found] == [pairs.BATCH_SIZE] * pairs.POOLED_BATCHES
    lengths = [sorted(len(pair.first) + len(pair.second) for pair in batch) for batch in found]
    assert lengths != sorted(lengths)
    lengths.sort()
    assert all(one[-1] <= two[0] for one, two in itertools.pairwise(lengths))


def test_collated_batches_restore_to_their_pairs(text: Corpus) -> None:
    rng = np.random.default_rng(0)
    drawn = [pairs.draw(text, 0.5, rng) for _ in range(200)]
    batch = pairs.collate(drawn, 2400, rng)
    restored = batch.input_ids.clone()
    restored.view(-1)[batch.masked_places] = batch.masked_pieces
    for row, pair in enumerate(drawn):
        first, second = pair.first.tolist(), pair.second.tolist()
        tokens = [tokenizer.CLS, *first, tokenizer.SEP, *second, tokenizer.SEP]
        padding = [0] * (restored.shape[1] - len(tokens))
        assert restored[row].tolist() == tokens + padding
        assert batch.attention_mask[row].tolist() == [1] * len(tokens) + padding
        assert batch.token_type_ids[row].tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1) + padding
        ours, theirs = [pairs.IGNORED] * len(first), [pairs.IGNORED] * len(second)
        if not pair.masked and pair.changed_first:
            ours = pair.tags.tolist()
        elif not pair.masked:
            theirs = pair.tags.tolist()
        outside = [pairs.IGNORED]
        expected = outside + ours + outside + theirs + outside + [pairs.IGNORED] * len(padding)
        assert batch.tags[row].tolist() == expected
    rows = batch.masked_places // batch.input_ids.shape[1]
    assert all(drawn[row].masked for row in rows.tolist())
    now = batch.input_ids.view(-1)[batch.masked_places]
    assert (now == tokenizer.MASK).float().mean().item() == pytest.approx(0.8, abs=0.06)
    assert (now == batch.masked_pieces).float().mean().item() == pytest.approx(0.1, abs=0.06)


def test_loss_is_the_weighted_sum_of_the_definitions(text: Corpus) -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = PretrainingModel(training.model_config(2400)).double()
    batch = pairs.collate([pairs.draw(text, 0.5, rng) for _ in range(40)], 2400, rng)
    loss, figures = model(batch)
    output = model.bert(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, token_type_ids=batch.token_type_ids
    )
    masked, asked, tagged, right = [], [], [], []
    width = batch.input_ids.shape[1]
    for place, piece in zip(batch.masked_places.tolist(), batch.masked_pieces.tolist(), strict=True):
        hidden = output.last_hidden_state[place // width, place % width]
        features = model.norm(torch.nn.functional.gelu(model.dense(hidden)))
        logits = model.bert.embeddings.word_embeddings.weight @ features + model.bias
        masked.append(-logits.log_softmax(0)[piece].item())
    for row in range(40):
        label = int(batch.same_meaning[row])
        if label != pairs.IGNORED:
            asked.append(-model.pair(output.pooler_output[row]).log_softmax(0)[label].item())
        for place in range(width):
            tag = int(batch.tags[row, place])
            if tag != pairs.IGNORED:
                logit = model.tag(output.last_hidden_state[row, place]).item()
                weight, sign = (WRONG_PIECE_WEIGHT, -1) if tag else (1.0, 1)
                tagged.append(weight * math.log1p(math.exp(sign * logit)))
                right.append((tag, (logit > 0) == bool(tag)))
    means = [sum(values) / len(values) for values in (masked, asked, tagged)]
    assert loss.item() == pytest.approx(means[0] + PAIR_WEIGHT * means[1] + TAG_WEIGHT * means[2], rel=1e-9)
    assert figures.masked_loss == pytest.approx(means[0], rel=1e-9)
    by_tag = [np.mean([ok for tag, ok in right if tag == wanted]) for wanted in (0, 1)]
    assert figures.tag_accuracy == pytest.approx(np.mean(by_tag), rel=1e-6)


def test_a_batch_that_asks_no_pair_has_a_loss(text: Corpus) -> None:
    rng = np.random.default_rng(0)
    drawn = [pair for pair in (pairs.draw(text, 0.5, rng) for _ in range(60)) if pair.same_meaning == pairs.IGNORED]
    model = PretrainingModel(training.model_config(2400))
    loss, figures = model(pairs.collate(drawn, 2400, rng))
    assert loss.isfinite()
    assert math.isnan(figures.pair_accuracy)
