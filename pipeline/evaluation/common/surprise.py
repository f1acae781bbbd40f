"""How likely, or how surprising, pictures are to a Boltzmann machine, and the colour of each kind of picture."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from lit_modules.networks.boltzmann.log_partition import LogPartition
from lit_modules.networks.boltzmann.machine import Machine
from pipeline.evaluation.common.panels import WIDTH
from pipeline.evaluation.common.result import BLUE, GREEN, GREY, ORANGE, PURPLE

COLOURS = {
    "training": BLUE,
    "held-out": GREEN,
    "artificial": ORANGE,
    "independent pixels": GREY,
    "deformed originals": PURPLE,
}


def log_likelihoods(machine: Machine, bits: Tensor, log_z: float) -> dict[str, Tensor]:
    """Of bits, (n, bits), by the machine and by the independent pixels that it started as; nats, (n,) each."""
    return {
        "model": (-machine.free_energy(bits).double() - log_z).cpu(),
        "independent_pixels": (-machine.free_energy(bits, 0.0).double() - machine.log_partition_base()).cpu(),
    }


def log_z_measures(log_z: LogPartition) -> dict[str, float]:
    """Log Z with its bounds, under flat keys."""
    return {
        "model/log_z_nats": log_z.value,
        "model/log_z_nats_low": log_z.low,
        "model/log_z_nats_high": log_z.high,
    }


def surprise_figure(surprise: Mapping[str, Tensor]) -> Figure:
    """Histograms of -log p(v) by kind of picture, one of COLOURS, (n,) each."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    groups = {name: values.cpu().numpy() for name, values in surprise.items()}
    together = np.concatenate(list(groups.values()))
    bins = np.linspace(together.min(), together.max(), 60).tolist()
    for name, values in groups.items():
        axis.hist(values, bins=bins, density=True, histtype="step", lw=2, color=COLOURS[name], label=name)
        axis.axvline(float(values.mean()), color=COLOURS[name], lw=1, ls=":")
    axis.set(
        xlabel="surprise -log p(v) in nats (dotted: mean)",
        ylabel="fraction per nat",
        title="How surprising a picture is",
    )
    axis.legend()
    return figure
