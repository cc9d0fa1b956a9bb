"""Subword sampling with multilingual BERT's vocabulary and with XLM-R's, on every XNLI and PAWS-X validation row."""

import json
import random
import shutil
from collections import Counter

import pytest
import sentencepiece
from scipy.stats import chi2_contingency

from trainables.data.registry import find_set
from trainables.data.tsv import read_table, rows_of
from trainables.tokenization.encoding import Encoder
from trainables.tokenization.subword_sampling import subword_sampler

LANGUAGES = ("en", "de", "es", "zh", "fr")
FILES = [(task, language) for task in ("xnli", "pawsx") for language in LANGUAGES]
VOCABULARIES = ("mbert", "e5")


@pytest.fixture(params=VOCABULARIES)
def vocabulary(request):
    """What encoding needs of a tokenizer, and transformers' own tokenizer."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"{request.param}_tokenizer")


def real_rows(shared, task, language):
    return rows_of(read_table(shared / "data" / task / f"dev-{language}.tsv"), find_set(task))


def words_of(shared, files, sample):
    """Distinct words of all validation rows, or of a sample of them a file."""
    encoder = Encoder(files, 128)
    words = {}
    for task, language in FILES:
        rows = real_rows(shared, task, language)
        if sample is not None:
            rows = rows.take(random.Random(0).sample(range(len(rows)), sample))
        for text in (*rows.first, *rows.second):
            words |= dict.fromkeys(encoder.words(text))
    return list(words)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "language"), FILES)
def test_without_sampling_every_row_is_encoded_as_transformers_does(shared, vocabulary, task, language):
    files, tokenizer = vocabulary
    encoder, sampler = Encoder(files, 128), subword_sampler(files.backend)
    rows = real_rows(shared, task, language)
    expected = tokenizer(rows.first, rows.second, truncation="longest_first", max_length=128)
    assert [example.ids for example in encoder.encode(rows)] == expected["input_ids"]
    for number, ids in enumerate(expected["input_ids"]):
        texts = (rows.first[number], rows.second[number])
        pieces = [[p for word in sampler.sample(encoder.words(text), 0.0, 0) for p in word] for text in texts]
        found = encoder.assemble(*pieces)
        assert found.ids == ids
        assert "token_type_ids" not in expected or found.types == expected["token_type_ids"][number]


def test_certain_rejection_spells_every_word_in_characters(shared, mbert):
    vocabulary = json.loads(mbert.backend)["model"]["vocab"]
    words = words_of(shared, mbert, sample=300)
    spelled = {word: [vocabulary.get(("##" if place else "") + c) for place, c in enumerate(word)] for word in words}
    whole = [word for word in words if None not in spelled[word]]
    assert subword_sampler(mbert.backend).sample(whole, 1.0, 0) == [spelled[word] for word in whole]
    # The others have a character that the vocabulary lacks, alone or inside a word.
    assert len(words) > 5_000
    assert len(whole) > 0.99 * len(words)


@pytest.mark.parametrize(("name", "strengths"), [("mbert", (0.2, 0.5, 1.0)), ("e5", (0.2, 0.01))])
def test_sampling_makes_no_unknown_word_that_plain_encoding_does_not_make(shared, name, strengths, request):
    files = request.getfixturevalue(name)
    model = json.loads(files.backend)["model"]
    unknown = model["unk_id"] if name == "e5" else model["vocab"]["[UNK]"]
    words, sampler = words_of(shared, files, sample=300), subword_sampler(files.backend)
    plain = [unknown in pieces for pieces in sampler.sample(words, 0.0, 0)]
    for strength in strengths:
        sampled = [unknown in pieces for pieces in sampler.sample(words, strength, 1)]
        assert not any(new and not old for new, old in zip(sampled, plain, strict=True))


def test_mvrs_rule_makes_some(shared, mbert):
    """Of English words several per cent at 0.2; of words of one letter exactly the rate."""
    vocabulary = json.loads(mbert.backend)["model"]["vocab"]
    sampler = subword_sampler(mbert.backend, drop_single_characters=True)
    rows, encoder = real_rows(shared, "xnli", "en").take(range(600)), Encoder(mbert, 128)
    words = [word for text in rows.first for word in encoder.words(text)]
    lost = [pieces == [vocabulary["[UNK]"]] for pieces in sampler.sample(words, 0.2, 0)]
    assert 0.03 < sum(lost) / len(lost) < 0.15
    letters = ["a"] * 20_000
    assert sum(pieces == [vocabulary["[UNK]"]] for pieces in sampler.sample(letters, 0.2, 0)) / 20_000 == pytest.approx(
        0.2, abs=0.012
    )


def test_a_folder_with_the_sentencepiece_model_alone_gives_the_same_vocabulary_and_draws(shared, e5, tmp_path):
    """Hugging Face's ids, which move fairseq's special pieces to the front, from either file."""
    from trainables.models.files import read_tokenizer

    folder = shared / "models" / "multilingual-e5-small-pruned"
    for name in ("config.json", "tokenizer_config.json", "sentencepiece.bpe.model"):
        shutil.copy(folder / name, tmp_path / name)
    files = read_tokenizer(tmp_path, "copy")
    assert json.loads(files.backend)["model"]["vocab"] == json.loads(e5.backend)["model"]["vocab"]
    assert (files.special_ids, files.pad_id) == (e5.special_ids, e5.pad_id)
    words = words_of(shared, e5, sample=20)
    one, other = subword_sampler(files.backend), subword_sampler(e5.backend)
    assert one.sample(words, 0.2, 3) == other.sample(words, 0.2, 3)


def test_the_rebuilt_model_draws_as_the_original_file(shared, e5):
    """sentencepiece.bpe.model itself, one id apart, segments words alike and draws segmentations as often."""
    original = sentencepiece.SentencePieceProcessor(
        model_file=str(shared / "models" / "multilingual-e5-small-pruned" / "sentencepiece.bpe.model")
    )
    sampler = subword_sampler(e5.backend)
    for word in ("▁house", "▁unbelievable", "▁Häuser", "▁房子", "▁imposible"):
        assert sampler.sample([word], 0.0, 0) == [[i + 1 for i in original.encode(word[1:])]]
        drawn = Counter(map(tuple, sampler.sample([word] * 3_000, 0.2, 1)))
        options = {"enable_sampling": True, "alpha": 0.2, "nbest_size": -1}
        theirs = Counter(tuple(i + 1 for i in original.encode(word[1:], **options)) for _ in range(3_000))
        frequent = [pieces for pieces, count in (drawn + theirs).items() if count >= 20]
        # One more in the last column, since a column of zeros has no expectation.
        table = [[*(c[p] for p in frequent), 3_001 - sum(c[p] for p in frequent)] for c in (drawn, theirs)]
        assert chi2_contingency(table).pvalue > 1e-4, word
