"""Eigenvalues of the Fisher matrix from inner products of scores, against the matrix itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.reference import double
from tests.trainables.curvature.cases import make_batch, make_model
from tests.trainables.curvature.rivals_by_definition import fisher
from trainables.curvature import Estimator, NonFiniteLogits, fisher_trace
from trainables.curvature.spectrum import fisher_spectrum


def small(**settings: Any) -> Any:
    sizes = {"hidden_size": 4, "num_hidden_layers": 1, "intermediate_size": 6, "max_position_embeddings": 12}
    return double(make_model(**sizes | settings))


@pytest.mark.parametrize("held", [1, 3000, 1 << 29])
def test_they_are_those_of_the_matrix_however_many_scores_are_held(held: int) -> None:
    model = small()
    found = fisher_spectrum(model, [make_batch()], held=held)
    expected = torch.linalg.eigvalsh(fisher(model))
    assert len(found) == 10
    torch.testing.assert_close(found, expected[-10:], rtol=1e-10, atol=1e-12 * float(expected[-1]))
    assert float(expected[:-10].abs().max()) < 1e-12 * float(expected[-1])


def test_they_add_up_to_the_trace() -> None:
    model = double(make_model())
    trace = fisher_trace(model, [make_batch()], estimator=Estimator.EXACT).value
    assert fisher_spectrum(model, [make_batch()]).sum().item() == pytest.approx(trace, rel=1e-10)


def test_float32_has_six_digits() -> None:
    model = make_model()
    exact = fisher_spectrum(double(model), [make_batch()])
    found = fisher_spectrum(model, [make_batch()])
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-5 * float(exact[-1]))


def test_of_many_rows_some_are_taken_evenly() -> None:
    model, batch = small(), make_batch()
    found = fisher_spectrum(model, [batch], rows=2)
    some = {name: value[[0, 3]] for name, value in batch.items()}
    torch.testing.assert_close(found, fisher_spectrum(model, [some]), rtol=1e-10, atol=0)


def test_frozen_parameters_do_not_count() -> None:
    model = small()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("classifier" in name)
    trace = fisher_trace(model, [make_batch()]).value
    assert fisher_spectrum(model, [make_batch()]).sum().item() == pytest.approx(trace, rel=1e-10)


def test_a_model_that_has_diverged_is_refused() -> None:
    model = small()
    with torch.no_grad():
        model.classifier.bias[1] = torch.inf
    with pytest.raises(NonFiniteLogits):
        fisher_spectrum(model, [make_batch()])


def test_a_layer_that_is_not_a_plain_product_of_its_own_is_taken_as_scores() -> None:
    model = small(num_hidden_layers=2)
    first, second = (layer.attention.output for layer in model.bert.encoder.layer)
    second.dense.weight = first.dense.weight  # shared
    pooler = model.bert.pooler.dense
    pooler.register_forward_hook(lambda module, args, output: output + args[0] @ module.weight)  # used twice
    found = fisher_spectrum(model, [make_batch()])
    expected = torch.linalg.eigvalsh(fisher(model))
    torch.testing.assert_close(found, expected[-10:], rtol=1e-10, atol=1e-12 * float(expected[-1]))
