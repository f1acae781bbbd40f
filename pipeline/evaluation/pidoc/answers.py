"""What the two networks of π-DOC say of maps."""

import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from lit_modules.pidoc import LitPidocAgeDistance, LitPidocMass
from pipeline.evaluation.common.looks import CLEAN, NOISY
from pipeline.evaluation.common.maps import flagged_percent
from pipeline.evaluation.pidoc.measures import Array


def both_looks(model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule) -> dict[str, dict[str, Array]]:
    """What :func:`collected` has, clean, and noisy where there is such a look."""
    every = {name: collected(model, data, look) for look, name in enumerate((CLEAN, NOISY))}
    return {name: test for name, test in every.items() if test}


def collected(
    model: LitPidocMass | LitPidocAgeDistance, data: ClusterMapsDataModule, look: int = 0
) -> dict[str, Array]:
    """All test maps (float32), labels and clusters (float64) in one of their looks, with the model's answers.

    Nothing where the maps have no such look.
    """
    test = data.splits["test"]
    if look >= test["looks"].shape[1]:
        return {}
    parts = []
    with torch.inference_mode():
        for batch in data.observed("test", look=look):
            seen = [batch[name].to(model.device) for name in ("flux", "statistics")]
            parts.append({**batch, **answers(model, *seen), "outside": flagged_percent(model, seen[1])})
            if isinstance(model, LitPidocAgeDistance):
                labels = [batch[name].to(model.device) for name in ("distance", "age")]
                parts[-1]["z_true"] = model.net.targets.scale(*labels)
    names = list(parts[0])
    whole = {name: torch.cat([part.pop(name).cpu() for part in parts]) for name in names}  # in memory once
    whole["cluster"] = test["cluster"]
    return {name: (tensor[:, 0] if tensor.ndim == 4 else tensor.double()).numpy() for name, tensor in whole.items()}


def answers(
    model: LitPidocMass | LitPidocAgeDistance, log_flux: torch.Tensor, statistics: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What a network says of maps (B, 1, H, W) with statistics (B, N).

    Returns:
        Log mass of the pixels and its σ, (B, 1, H, W), with that of the field, (B,); or scaled distance and age with
        their σ, (B, 2), and both in kpc and Gyr with the ends of their intervals, (B,).
    """
    if isinstance(model, LitPidocMass):
        mass = model(log_flux, statistics)
        return {"log_mass": mass.pixels.mean, "sigma": mass.pixels.sigma, "field_sigma": mass.field.sigma}
    found = model(log_flux, statistics)
    read = {"z_mean": found.mean, "z_sigma": found.sigma}
    for end, k in (("read", 0), ("low", -1), ("high", 1)):
        read[f"distance_{end}"], read[f"age_{end}"] = model.net.targets.unscale(found.mean + k * found.sigma)
    return read
