"""A small autoencoder for the tests of its evaluation."""

from typing import Any

from lit_modules.autoencoder import LitAutoencoder

SETTINGS: dict[str, Any] = {
    "side": 12, "widths": [8], "code": "dense", "active_units": 3, "sparsity": 0.1, "target": 0.1, "tied": False,
    "noise": 0.0, "copies": 0, "snapshot_epoch": 1, "rotation": 0.1, "scale": 0.1, "shift": 0.1, "warp": 0.0,
    "contrast": 0.0, "augment_seed": 1, "lr": 1e-3, "weight_decay": 0.0,
}  # fmt: skip


def autoencoder(**changes: Any) -> LitAutoencoder:
    """Untrained, of 12 x 12 pixels and a code of 8 numbers."""
    return LitAutoencoder(**{**SETTINGS, **changes}).eval()
