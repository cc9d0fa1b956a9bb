"""Twins of a model: the same function at other parameters, by a symmetry of attention.

Attention uses queries and keys only in their products, so for any a > 0

    softmax((a q)(k / a)^T / sqrt(d)) = softmax(q k^T / sqrt(d))

Multiplying the weights and biases of queries by a and dividing those of keys by a, in every layer, thus keeps the
function, while the gradients of these parameters are divided by a and multiplied by a, respectively. So curvature
changes although no prediction does (Dinh et al. 2017, "Sharp minima can generalize for deep nets"; da Silva, Dangel and
Oore 2025, "Hide and seek: transformer symmetries obscure sharpness"). Here a is a power of two, so every product is
exact, as no mantissa changes. Projections are found by their names in transformers. Whether the function is unchanged
has to be measured: a convolution may read the queries too (ConvBERT), or a norm of them may have an epsilon (Qwen3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from trainables.errors import InputError

QUERIES = ("query", "q_proj", "q_lin", "q", "query_proj", "pos_query_proj")
KEYS = ("key", "k_proj", "k_lin", "k", "key_proj", "pos_key_proj")
FUSED = ("Wqkv", "c_attn")
"""Layers whose outputs are one third queries, one third keys and one third values."""


@contextmanager
def twin(model: nn.Module, exponent: int) -> Iterator[None]:
    """Multiply queries by ``2**exponent`` and divide keys by it, in every layer; then restore every bit of them.

    Args:
        model: Any model; low-rank updates of queries and keys are scaled too, each as a whole.
        exponent: Power of two; the twin of exponent 0 is the model itself.

    Raises:
        InputError: The model has no pairs of query and key layers with known names.
    """
    queries, keys = _projections(model)
    before = [(part, part.clone()) for part in (*queries, *keys)]
    try:
        for parts, factor in ((queries, 2.0**exponent), (keys, 2.0**-exponent)):
            for part in parts:
                part.mul_(factor)
        yield
    finally:
        for part, value in before:
            part.copy_(value)


def logit_change(before: Tensor, after: Tensor) -> float:
    """The largest change of a logit as a fraction of the largest logit, on the same examples."""
    return float((after - before).abs().max() / before.abs().max())


def _projections(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The parameters, or slices of them, that produce the queries and the keys, without gradients."""
    queries: list[Tensor] = []
    keys: list[Tensor] = []
    owners: tuple[set[str], set[str]] = (set(), set())
    for path, module in model.named_modules():
        owner, _, name = path.rpartition(".")
        for side, (names, parts) in enumerate(((QUERIES, queries), (KEYS, keys))):
            if name in names:
                owners[side].add(owner)
                parts += [tensor for tensor, _ in _outputs(module)]
        if name in FUSED:
            for tensor, dim in _outputs(module):
                query, key, _ = tensor.chunk(3, dim)
                queries.append(query)
                keys.append(key)
    if not queries or owners[0] != owners[1]:
        raise InputError(
            f"its queries and keys are not layers of their own ({', '.join(QUERIES)}) nor thirds of one "
            f"({', '.join(FUSED)}): set measure.twins="
        )
    return queries, keys


def _outputs(module: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """The tensors in which a layer's outputs are linear, each with the dimension that indexes the outputs."""
    for path, part in module.named_modules():
        if "lora_A" not in path.split("."):  # B A is scaled once, by B
            for tensor in part.parameters(recurse=False):
                yield tensor.detach(), tensor.ndim - 1 if isinstance(part, Conv1D) else 0
