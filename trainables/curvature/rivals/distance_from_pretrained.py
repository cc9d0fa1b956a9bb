"""Distance from the pretrained encoder: ``||theta - theta_0||_2`` over the encoder's parameters.

"Distance from initialisation" in Jiang et al. (2020) and Bassi et al. (2024). The head is left out, since its start is
a random draw and no pretrained point.
"""

from __future__ import annotations

from trainables.curvature.rivals.parameter_norm import l2_norm
from trainables.curvature.rivals.subject import FineTuned


def distance_from_pretrained(trained: FineTuned) -> float:
    """L2 norm of the change of the encoder's parameters (parameter units)."""
    encoder = f"{trained.model.base_model_prefix}."
    return l2_norm(
        parameter.detach() - trained.pretrained[name]
        for name, parameter in trained.model.named_parameters()
        if name.startswith(encoder)
    )
