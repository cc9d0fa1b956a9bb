"""The tokenizer: cased WordPiece over the committed vocabulary.

The vocabulary is not retrained with the weights, since the WordPiece trainer breaks ties in hash table order: two runs
on the same text differ in about ten of 2,400 pieces.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from trainables.models.mini import FOLDER

PAD, UNKNOWN, CLS, SEP, MASK = range(5)
NUM_SPECIAL = 5
MAX_LENGTH = 96


def build(vocabulary: Path = FOLDER / "vocab.txt") -> Tokenizer:
    """Build the tokenizer from a file with one piece per line, of which the first five are the special pieces."""
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    tokenizer = Tokenizer(models.WordPiece(vocab={piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and vocab.txt into an existing folder."""
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=MAX_LENGTH,
    ).save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # Without these, a BertTokenizer would lower-case the text and strip its accents.
    config.pop("backend", None)
    config.update(
        tokenizer_class="BertTokenizer",
        do_lower_case=False,
        strip_accents=False,
        tokenize_chinese_chars=True,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    path.write_bytes(json.dumps(config, indent=1).encode())
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_bytes("".join(f"{piece}\n" for piece, _ in pieces).encode())
