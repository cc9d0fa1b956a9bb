"""The two real vocabularies beside the repository, where they are."""

import pytest

from trainables.tokenization.encoding import TokenizerFiles


@pytest.fixture(scope="session")
def mbert_tokenizer(shared):
    """transformers' tokenizer of multilingual BERT."""
    from transformers import BertTokenizer

    # The path goes by position: as a keyword it is ignored, and every word becomes [UNK].
    return BertTokenizer(str(shared / "models" / "bert-base-multilingual-cased" / "vocab.txt"), do_lower_case=False)


@pytest.fixture(scope="session")
def mbert(mbert_tokenizer) -> TokenizerFiles:
    return TokenizerFiles(
        backend=mbert_tokenizer.backend_tokenizer.to_str(),
        pad_id=mbert_tokenizer.pad_token_id,
        uses_token_types=True,
        special_ids=tuple(sorted(mbert_tokenizer.all_special_ids)),
    )


@pytest.fixture(scope="session")
def e5_tokenizer(shared):
    """transformers' tokenizer of the real encoder, whose vocabulary is XLM-R's, pruned."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared / "models" / "multilingual-e5-small-pruned")


@pytest.fixture(scope="session")
def e5(e5_tokenizer) -> TokenizerFiles:
    return TokenizerFiles(
        backend=e5_tokenizer.backend_tokenizer.to_str(),
        pad_id=e5_tokenizer.pad_token_id,
        uses_token_types=False,
        special_ids=tuple(sorted(e5_tokenizer.all_special_ids)),
    )
