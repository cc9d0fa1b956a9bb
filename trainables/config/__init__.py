"""TrialConfig: everything that determines the numbers of one trial, addressed by public dotted paths.

Owns the schema and its defaults (the protocol that MVR and XTREME share); ``dotted_paths`` reads and sets them. Knows
nothing of studies, arms or search spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from trainables.data.registry import NAMES, check_name, find_set
from trainables.models.lora import LoraConfig
from trainables.regularizers.consistency import ConsistencyConfig
from trainables.regularizers.fisher_penalty import FisherPenaltyConfig
from trainables.regularizers.l2 import L2Config
from trainables.regularizers.l2_sp import L2SPConfig
from trainables.regularizers.parameters import Form
from trainables.regularizers.terms import Terms
from trainables.schema import Count, Fraction, Frozen, Label, Language, Weight, later
from trainables.views.view import ViewConfig, noise

if TYPE_CHECKING:
    import torch

    from trainables.views.passes import Passes

ENGLISH = "en"
_PATTERN = re.compile(r"(?=.*\{split\})(?=.*\{language\})(?!/)([^{}]|\{split\}|\{language\})+")


class DropoutConfig(Frozen):
    """Dropout rates of the encoder; null keeps the rate of the model's own configuration."""

    hidden: Fraction | None = Field(None, description="dropout on embeddings and sub-layer outputs (fraction)")
    attention: Fraction | None = Field(None, description="dropout on attention probabilities (fraction)")
    classifier: Fraction | None = Field(None, description="dropout before the classifier (fraction)")


class ModelConfig(Frozen):
    """The pretrained encoder; the classification head is newly initialised from the trial's seed."""

    name: str = Field("bert-base-multilingual-cased", min_length=1, description='hub id, folder, or "mini" (bundled)')
    revision: str | None = Field(None, description="commit or tag on the hub")
    num_hidden_layers: Count | None = Field(None, description="keep the first k encoder layers; null keeps all")
    dropout: DropoutConfig = Field(DropoutConfig(), description="dropout rates")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="training and evaluation; auto: bfloat16 autocast where GPU or CPU have it and gain, else float32",
    )
    lora: LoraConfig | None = later(None, description="train low-rank updates and the head alone; null: all weights")


class DataConfig(Frozen):
    """Which examples a trial sees. Drawn by ``seed``, which all trials of a study share."""

    name: Annotated[str, AfterValidator(check_name)] = Field(
        "xnli",
        description='the data set; "custom" is any other, FILE.py:NAME one that a file of your own describes',
    )
    source: str = Field(
        "hub",
        min_length=1,
        description='"hub", "bundled", or a folder of {train,dev}-LANG.tsv, or of XNLI, PAWS-X or SIB-200 as unpacked',
    )
    labels: tuple[Label, ...] = Field(
        (),
        description="labels of a custom task; none: those that the training file declares or has, sorted. A file may "
        "number them, and for xnli and inference this is then their order",
    )
    languages: tuple[Language, ...] = Field(("de", "es", "zh"), description="target languages, English excluded")
    train_examples: Count | None = Field(20_000, description="English training examples; null takes all")
    stage2_examples: int = Field(0, ge=0, description="target-language examples of the second stage; 0: no such stage")
    validation_examples: Count | None = Field(None, description="validation examples a language; null takes all")
    split: Literal["random", "file_order"] = Field("random", description="how stage-2 and validation rows are drawn")
    max_length: int = Field(128, ge=8, description="pieces of an encoded example, special tokens included")
    seed: int = Field(0, ge=0, description="seed of the draw of examples, apart from the trial's seed")
    drop_untranslated: bool = Field(
        False, description='drop, before the draw, rows with the placeholder "NS" for a sentence in any used language'
    )

    unlabelled: Literal["refuse", "drop"] = later(
        "refuse", description="rows without a label (-, -1 or empty): refuse the file, or drop them in every language"
    )
    stage2_languages: tuple[Language, ...] | None = later(
        None, description="languages of the second stage, among data.languages; null takes all of them"
    )
    stage2_source: Literal["validation", "train"] = later(
        "validation",
        description="where the second stage's rows are drawn: validation files, or the languages' own training files",
    )
    stage2_twins: bool = later(
        False, description="with stage2_source=train: also rows whose English original trained the English stage"
    )
    repository: str | None = later(None, description="for custom from the hub: its id, OWNER/NAME")
    files: str | None = later(
        None, description='for custom from the hub: its files, such as "{language}/{split}-*.parquet"'
    )
    columns: tuple[Label, ...] = later(
        (), description="for custom from the hub: names of the columns of one or two sentences, and of the label"
    )
    test: bool = later(False, description="also score the test files at the end of each stage; no choice looks at them")

    @property
    def second_stages(self) -> tuple[str, ...]:
        """The languages of the second stage."""
        return self.languages if self.stage2_languages is None else self.stage2_languages

    @model_validator(mode="after")
    def _second_stages_are_among_the_languages(self) -> DataConfig:
        if unknown := [language for language in self.second_stages if language not in self.languages]:
            raise ValueError(
                f"data.stage2_languages: {unknown[0]!r} is not among data.languages, {','.join(self.languages)}"
            )
        return self

    @model_validator(mode="after")
    def _a_custom_task_says_where_it_is(self) -> DataConfig:
        custom, on_hub = self.name == "custom", self.name == "custom" and self.source == "hub"
        place = {"data.repository": self.repository, "data.files": self.files, "data.columns": self.columns}
        wrong = [name for name, value in place.items() if bool(value) != on_hub]
        if custom and (self.source == "bundled" or (on_hub and wrong)):
            raise ValueError(
                "data.name=custom needs a folder of {train,dev}-LANG.tsv files as data.source, or data.source=hub with "
                f"{', '.join(place)}; got {self.source!r}" + (f" without {', '.join(wrong)}" if on_hub else "")
            )
        if wrong:
            raise ValueError(f"{wrong[0]} is for data.name=custom with data.source=hub")
        if on_hub and (len(set(self.columns)) != len(self.columns) or len(self.columns) not in (2, 3)):
            raise ValueError(f"data.columns takes one or two columns and the label's, got {','.join(self.columns)}")
        if on_hub and (".." in str(self.files) or not _PATTERN.fullmatch(str(self.files))):
            raise ValueError(f"data.files takes a pattern with {{language}} and {{split}}, got {self.files!r}")
        return self

    @model_validator(mode="after")
    def _labels_are_those_of_a_custom_task(self) -> DataConfig:
        if self.name != "custom":
            self._refuse_other_labels()
        elif self.labels and (len(self.labels) < 2 or len(set(self.labels)) != len(self.labels)):
            raise ValueError(f"data.labels takes two or more distinct labels, got {','.join(self.labels)}")
        return self

    def _refuse_other_labels(self) -> None:
        """The labels of a known task are fixed; what may be said is in which order a file numbers them."""
        own = find_set(self.name).labels if self.labels and self.name in NAMES else ()
        if self.labels and (self.source == "hub" or sorted(self.labels) != sorted(own)):
            order = f"; for a folder whose files number them it gives their order: {', '.join(own)}" if own else ""
            raise ValueError(f"data.labels is for data.name=custom; {self.name} has its own labels{order}")

    @model_validator(mode="after")
    def _rows_of_training_files_have_twins(self) -> DataConfig:
        if self.stage2_twins and self.stage2_source != "train":
            raise ValueError("data.stage2_twins=true needs data.stage2_source=train")
        return self

    @model_validator(mode="after")
    def _the_second_stage_has_a_language(self) -> DataConfig:
        if self.stage2_examples and not self.second_stages:
            where = "languages" if self.stage2_languages is None else "stage2_languages"
            raise ValueError(f"data.stage2_examples={self.stage2_examples}, but data.{where} names no language")
        return self

    @model_validator(mode="after")
    def _target_languages_are_distinct(self) -> DataConfig:
        if ENGLISH in self.languages or len(set(self.languages)) != len(self.languages):
            raise ValueError(
                f"data.languages takes distinct target languages without {ENGLISH!r}, got {','.join(self.languages)}"
            )
        return self


class OptimizerConfig(Frozen):
    """AdamW with linear decay to zero."""

    learning_rate: float = Field(2e-5, gt=0.0, description="peak learning rate")
    weight_decay: Weight = Field(0.0, description="decoupled weight decay")
    exempt_biases_and_norms: bool = Field(True, description="biases and LayerNorm do not decay")
    epsilon: float = Field(1e-8, gt=0.0, description="AdamW's epsilon")
    warmup: Fraction = Field(0.0, description="linear warm-up (fraction of all steps)")
    sam_rho: Weight | None = Field(None, description="radius of SAM's ascent (L2 norm, parameter units); null, 0: off")
    tram_sigma: Weight | None = later(
        None,
        description="deviation of TRAM's noise on word embeddings (embedding units), which sets its ascent; "
        "null, 0: off",
    )

    @model_validator(mode="after")
    def _one_ascent(self) -> OptimizerConfig:
        if self.sam_rho and self.tram_sigma:
            raise ValueError("sam_rho and tram_sigma are two ascents, and a step has one: set one of them to null")
        return self


class PenaltiesConfig(Frozen):
    """Penalties on the parameters; absent is null."""

    fisher: FisherPenaltyConfig | None = Field(None, description="Fisher penalty")
    l2: L2Config | None = Field(None, description="L2 to zero")
    l2_sp: L2SPConfig | None = Field(None, description="L2 to the stage's starting point")

    def on_parameters(self, form: Form) -> list[tuple[str, float, Callable[[Passes], torch.Tensor]]]:
        """The penalties of one form that act and need no forward pass.

        Args:
            form: How they enter a step.

        Returns:
            Name, weight and unweighted penalty of each; none of weight 0.
        """
        found: list[tuple[str, float, Callable[[Passes], torch.Tensor]]] = []
        if self.l2 is not None and self.l2.form == form:
            found.append(("l2", self.l2.weight, self.l2.penalty))
        if self.l2_sp is not None and self.l2_sp.form == form:
            found.append(("l2_sp", self.l2_sp.weight, self.l2_sp.penalty))
            found.append(("l2_sp_head", self.l2_sp.head_weight, self.l2_sp.head_penalty))
        return [entry for entry in found if entry[1] > 0]


class UntilConfig(Frozen):
    """A stage that ends at a training loss, so that models of equal fit are compared, whatever their regulariser.

    The learning rate is constant after a warm-up as long as that of ``epochs``: a decay would end with the stage.
    """

    train_nll: float = Field(
        gt=0.0, description="the stage ends when the mean NLL on training rows, evaluation mode, is below it (nats)"
    )
    max_epochs: Count = Field(20, description="passes after which it ends all the same, in state not_reached")
    every: Count = Field(10, description="optimiser steps between two looks")
    examples: Count = Field(500, description="training examples that are looked at, one fixed draw")


class StageConfig(Frozen):
    """One stage of fine-tuning."""

    epochs: Count = Field(5, description="passes over the training examples")
    until: UntilConfig | None = later(None, description="end at a training loss in place of after epochs; null: not")
    batch_size: Count = Field(32, description="examples of an optimiser step")
    accumulation: Count = Field(1, description="micro-batches of an optimiser step")
    clip: float | None = Field(1.0, gt=0.0, description="gradient norm is clipped to this; null: not clipped")
    runs: Count = later(
        1,
        description="times that the stage is trained, from the same weights with other orders, masks and draws; "
        "the weights' mean is kept",
    )
    selection: Literal["last", "best_english", "average"] = Field(
        "last", description="which epoch's weights are kept; average: the mean over all ends of epochs"
    )
    label_smoothing: Fraction = Field(0.0, description="label smoothing of the cross-entropy (fraction)")
    optimizer: OptimizerConfig = Field(OptimizerConfig(), description="optimiser and schedule")
    consistency: ConsistencyConfig | None = Field(None, description="consistency loss; null: none")
    noise: ViewConfig | None = Field(None, description="a view without a consistency term; null: none")
    penalties: PenaltiesConfig = Field(PenaltiesConfig(), description="penalties on the parameters")

    @property
    def terms(self) -> Terms:
        """What a step has to know of this stage.

        Returns:
            Its terms, presets and defaults filled in.
        """
        return Terms(
            batch_size=self.batch_size,
            noise=None if self.noise is None else self.noise.resolved(),
            loss=None if self.consistency is None else self.consistency.resolved(),
            fisher=self.penalties.fisher,
            exact=bool(self.optimizer.tram_sigma),
        )

    @field_validator("noise")
    @classmethod
    def _noise_stands_alone(cls, view: ViewConfig | None) -> ViewConfig | None:
        return None if view is None else noise(view)

    @model_validator(mode="after")
    def _batches_divide(self) -> StageConfig:
        if self.batch_size % self.accumulation:
            raise ValueError(
                "accumulation must divide batch_size, "
                f"got batch_size={self.batch_size}, accumulation={self.accumulation}"
            )
        return self

    @model_validator(mode="after")
    def _an_end_by_loss_selects_nothing(self) -> StageConfig:
        if self.until is not None and self.selection != "last":
            raise ValueError(f"until ends a stage at a training loss, so selection must be last, not {self.selection}")
        return self

    @model_validator(mode="after")
    def _runs_are_averaged(self) -> StageConfig:
        if self.runs > 1 and (self.until is not None or self.selection == "best_english"):
            other = "selection=best_english" if self.until is None else "until"
            raise ValueError(f"runs={self.runs} averages weights after equal epochs, so it takes no {other}")
        return self

    @model_validator(mode="after")
    def _a_trust_region_is_around_the_input(self) -> StageConfig:
        if self.optimizer.tram_sigma and self.noise is not None:
            raise ValueError("optimizer.tram_sigma puts a noise of its own on the input, so noise must be null")
        return self

    @property
    def longest(self) -> int:
        """Passes over the training examples that the stage makes at the most."""
        return self.runs * self.epochs if self.until is None else self.until.max_epochs

    def views(self) -> list[tuple[ViewConfig, bool]]:
        """The stage's views, explicit.

        Returns:
            Each with whether its divergence compares hidden states: the noise, then the consistency loss's.
        """
        found = [] if self.noise is None else [(self.noise.resolved(), False)]
        if self.consistency is not None:
            loss = self.consistency.resolved()
            found.append((loss.view, loss.divergence == "hidden_squared_error"))
        return found


Rival = Literal[
    "label_variance",
    "margin",
    "sharpness",
    "empirical_fisher",
    "parameter_norm",
    "distance_from_pretrained",
    "fisher_rao",
    "normalized_trace",
    "relative_flatness",
    "lambda_max",
    "effective_rank",
    "trace_f2",
    "noise_scale",
    "adaptive_sharpness",
]
"""The rivals of Tr(F); trainables/curvature/rivals defines them."""
USUAL_RIVALS: tuple[Rival, ...] = get_args(Rival)[:6]
"""Those that are measured unless a configuration names others: identities of configurations hold them as they are."""


class ExpansionConfig(Frozen):
    """Equation 1: the KL divergence under parameter noise against its second-order expansion, in float64."""

    sigmas: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        (1e-5, 1e-4, 1e-3, 1e-2), min_length=1, description="standard deviations of the noise (parameter units)"
    )
    draws: Count = Field(
        10, description="directions of the noise; each costs a forward-mode pass and a forward pass a sigma, in float64"
    )
    examples: Count = Field(
        8, description="first English validation examples; needs six times the memory of the float32 model"
    )
    every: Count | None = Field(
        None, description="also every k-th step of stage 0; null: before training and at the end of stage 0 only"
    )

    @model_validator(mode="after")
    def _sigmas_are_distinct(self) -> ExpansionConfig:
        if len(set(self.sigmas)) != len(self.sigmas):
            raise ValueError(f"measure.expansion.sigmas takes distinct values, got {','.join(map(str, self.sigmas))}")
        return self


class MeasureConfig(Frozen):
    """What is measured besides accuracy."""

    trace_examples: Count = Field(500, description="English validation examples for Tr(F), one fixed draw")
    trace_train: bool = Field(True, description="also on as many stage-0 training examples")
    trace_languages: tuple[Language, ...] = Field((), description="further languages for Tr(F)")
    trace_every: Count | None = Field(
        None,
        description="Tr(F) also before training, every k-th step of stage 0 and at its end, into the curves; null: not",
    )
    accuracy_every: Count | None = later(
        1, description="epochs of stage 0 between looks at English accuracy, into the curves; null: not"
    )
    estimator: Literal["auto", "exact", "signs", "monte_carlo"] = later(
        "auto",
        description="labels of Tr(F): exact, random signs (one pass whatever their number), sampled labels; "
        "auto: exact up to five labels, signs above",
    )
    estimator_draws: Count = later(
        1, description="draws an example for signs and monte_carlo, the same at every step of a curve"
    )
    rivals: tuple[Rival, ...] = Field(
        USUAL_RIVALS,
        description="rivals of Tr(F) after stage 0; those that use labels on the first trace_examples training rows, "
        "the others on the rows of Tr(F)",
    )
    expansion: ExpansionConfig | None = Field(
        None, description="equation 1 before, during and after stage 0; null: not"
    )
    twins: tuple[Annotated[int, Field(ge=-8, le=8)], ...] = later(
        (),
        description="exponents k of twins, the same function with queries times 2^k and keys times 2^-k in every "
        "layer, on which Tr(F) and the rivals are measured after stage 0; each costs as much as they do",
    )
    path: bool = later(
        False,
        description="equation 1 along the way of each second stage, on the first trace_examples validation rows of "
        "English and its language; costs about two and a half plain passes over them a language",
    )
    path_points: int = later(
        0, ge=0, description="points of the curve of that KL through each second stage, its end included; 0: no curve"
    )

    def trace_options(self) -> dict[str, Any]:
        """What Tr(F) is measured with.

        Returns:
            Arguments of ``fisher_trace`` that are not its defaults. It draws the same numbers at every call, so that
            the points of a curve are comparable.
        """
        options = self.model_dump(include={"estimator", "estimator_draws"}, exclude_defaults=True)
        return {{"estimator_draws": "samples"}.get(name, name): value for name, value in options.items()}

    @model_validator(mode="after")
    def _draws_are_for_estimators_that_draw(self) -> MeasureConfig:
        if self.estimator == "exact" and self.estimator_draws > 1:
            raise ValueError(
                f"measure.estimator_draws={self.estimator_draws} needs an estimator that draws, and exact does not"
            )
        return self

    @model_validator(mode="after")
    def _twins_differ(self) -> MeasureConfig:
        if len({0, *self.twins}) <= len(self.twins):
            raise ValueError(
                f"measure.twins takes distinct exponents of two other than 0, got {','.join(map(str, self.twins))}"
            )
        return self

    @model_validator(mode="after")
    def _points_are_of_a_path(self) -> MeasureConfig:
        if self.path_points and not self.path:
            raise ValueError(f"measure.path_points={self.path_points} needs measure.path=true")
        return self


class TrialConfig(Frozen):
    """Everything that determines the numbers of one trial.

    ``stages.0`` is English; ``stages.1``, in effect when ``data.stage2_examples`` is above 0, starts from stage 0's
    weights once for each target language.
    """

    seed: int = Field(0, ge=0, description="seed of initialisation, data order, dropout, views and sampled labels")
    model: ModelConfig = Field(ModelConfig(), description="the encoder")
    data: DataConfig = Field(DataConfig(), description="the examples")
    stages: tuple[StageConfig, StageConfig] = Field(
        (StageConfig(), StageConfig(epochs=3)), description="English stage, target-language stage"
    )
    measure: MeasureConfig = Field(MeasureConfig(), description="what is measured besides accuracy")

    @model_validator(mode="after")
    def _translations_are_of_english(self) -> TrialConfig:
        if any(view.kind == "translation" for view, _ in self.stages[1].views()):
            raise ValueError("view translation translates the English training file, so stages.1 cannot have it")
        return self

    @model_validator(mode="after")
    def _only_the_english_stage_ends_by_loss(self) -> TrialConfig:
        if self.stages[1].until is not None:
            raise ValueError("stages.1.until: only the English stage ends at a training loss; gains are after epochs")
        return self

    @model_validator(mode="after")
    def _trace_languages_are_loaded(self) -> TrialConfig:
        if missing := set(self.measure.trace_languages) - set(self.data.languages):
            raise ValueError(f"measure.trace_languages must be among data.languages, got {','.join(sorted(missing))}")
        return self
