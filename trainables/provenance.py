"""Where a trial's numbers come from: software, device, number format, and the content of its model and data."""

from __future__ import annotations

import socket
from typing import Any

import torch

from trainables.assets import Assets
from trainables.config import TrialConfig
from trainables.precision import training_dtype
from trainables.software import plugin_versions, software


def provenance(config: TrialConfig, assets: Assets) -> dict[str, Any]:
    """The provenance of a trial that runs in this process.

    Returns:
        ``device``, ``precision``, ``host``, fingerprints and revision, versions of the software and of its plugins.
    """
    cuda = torch.cuda.is_available()
    files = assets.model(config)
    dtype = training_dtype(torch.device("cuda" if cuda else "cpu"), config.model.precision, files.hidden_size)
    model, data = assets.fingerprints(config)
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "precision": str(dtype).removeprefix("torch."),
        "host": socket.gethostname(),
        "data_fingerprint": data,
        "model_fingerprint": model,
        "model_revision": files.revision,
        **software(),
        **plugin_versions([config]),
    }
