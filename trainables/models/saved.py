"""Fine-tuned classifiers as Hugging Face folders, which transformers and ``fisher-study trace`` load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol

from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from trainables.models.adapters import save_adapter
from trainables.models.folders import ADAPTER
from trainables.models.lora import has_lora, merged
from trainables.tokenization.encoding import TokenizerFiles

SavedStages = Literal["stage1", "all"]
FIRST_STAGE = "stage1"


class Folder(Protocol):
    """A folder on any file system."""

    def child(self, name: str) -> Folder:
        """The folder of that name inside."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file completely or not at all."""


@dataclass
class ModelSaver:
    """Saves the classifiers of one trial.

    Attributes:
        stages: ``stage1``: after English; ``all``: also after the second stage of each language.
        note: What went wrong, else None.
    """

    folder: Folder
    stages: SavedStages
    note: str | None = None

    def save(self, name: str, model: PreTrainedModel, tokenizer: TokenizerFiles, labels: Sequence[str]) -> None:
        """Save a classifier if it is wanted: with low-rank updates merged, and the updates alone as ``NAME-adapter``.

        Args:
            name: ``stage1``, or ``stage2-LANG``.
            labels: Names of the classes.
        """
        if self.stages != "all" and name != FIRST_STAGE:
            return
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: number for number, label in enumerate(labels)}
        try:
            if has_lora(model):
                self._write(f"{name}-adapter", tokenizer, partial(save_adapter, model))
                model = merged(model)
            self._write(name, tokenizer, model.save_pretrained)
        except (OSError, SafetensorError) as error:
            self.note = f"{name} was not saved: {error}"  # the measurements do not need it

    def _write(self, name: str, tokenizer: TokenizerFiles, save: Callable[[Path], object]) -> None:
        folder = self.folder.child(name)
        with TemporaryDirectory() as aside:
            save(Path(aside))
            fast_tokenizer(tokenizer).save_pretrained(aside)
            # The configuration comes last: a folder without it is neither a model nor an adapter.
            for path in sorted(Path(aside).iterdir(), key=lambda path: path.name in ("config.json", ADAPTER)):
                folder.write(path.name, path.read_bytes())


def fast_tokenizer(files: TokenizerFiles) -> PreTrainedTokenizerFast:
    """A transformers tokenizer that encodes as the trial did.

    It knows which token is the padding and which others are special; their places in an example are part of the
    backend.
    """
    backend = Tokenizer.from_str(files.backend)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=backend.id_to_token(files.pad_id),
        extra_special_tokens=[backend.id_to_token(i) for i in files.special_ids if i != files.pad_id],
        model_input_names=["input_ids", *(["token_type_ids"] if files.uses_token_types else []), "attention_mask"],
    )
