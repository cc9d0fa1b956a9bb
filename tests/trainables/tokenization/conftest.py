from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from trainables.tokenization.encoding import TokenizerFiles

PIECES = [
    ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("a", -2.5), ("b", -2.5), ("c", -3.0),
    ("ab", -2.0), ("bc", -2.2), ("▁a", -2.1), ("▁ab", -1.8), ("abc", -2.9), ("▁c", -2.7),
]  # fmt: skip


@pytest.fixture(scope="session")
def unigram() -> TokenizerFiles:
    """A small tokenizer of XLM-R's form."""
    tokenizer = Tokenizer(models.Unigram(PIECES, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return TokenizerFiles(tokenizer.to_str(), pad_id=1, uses_token_types=False, special_ids=(0, 1, 2, 3))


@pytest.fixture(scope="session")
def wordpiece(tiny_model) -> TokenizerFiles:
    """The tiny model's tokenizer."""
    from trainables.config import ModelConfig
    from trainables.models.files import load_model_files

    return load_model_files(ModelConfig(name=str(tiny_model))).tokenizer
