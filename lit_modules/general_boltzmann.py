"""The general Boltzmann machine of globular-cluster pictures."""

import math
from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch
from lit_modules.boltzmann import N_EXAMPLES, LitMachine
from lit_modules.networks.boltzmann.general import BoltzmannMachine
from lit_modules.networks.boltzmann.negative_phase import NegativePhase
from lit_modules.networks.boltzmann.pixels import isophotes, mean_bits, stretch
from lit_modules.networks.boltzmann.restricted import all_states
from lit_modules.networks.boltzmann.settings import BoltzmannSettings
from lit_modules.networks.boltzmann.tempering import Temperatures, log_bridge
from lit_modules.networks.symmetry import random_symmetry


class LitBoltzmann(LitMachine):
    """General Boltzmann machine, trained to know pictures by heart: to complete half ones and to clean noisy ones.

    Grey pictures become binary by isophotes at several levels, whose mean is grey again. Clusters
    have no orientation, so each picture is turned and mirrored at random. Of few units all states
    are summed; else chains at several temperatures sample the machine and tell its log Z.
    """

    Settings = BoltzmannSettings
    settings: BoltzmannSettings
    net: BoltzmannMachine

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        it = self.settings
        self.net = BoltzmannMachine(it.size**2, it.hidden)
        self.negative = NegativePhase("pt", it.chains, it.sweeps, it.temperatures)

    def mean_bits(self, images: Tensor) -> Tensor:
        return mean_bits(stretch(images), 1)

    def bits(self, images: Tensor) -> Tensor:
        grey, n = stretch(images), self.settings.levels
        return self.shapes(grey, torch.rand(len(grey), n, 1, device=grey.device) if self.training else 0.5)

    def shapes(self, grey: Tensor, within: Tensor | float = 0.5) -> Tensor:
        """Isophotes of stretched pictures at levels from dark to bright.

        Args:
            grey: (n, pixels).
            within: place of the level in each of the equal parts of [0, 1], a number or (n, levels, 1).

        Returns:
            Shape (n * levels, pixels), those of a picture together.
        """
        n = self.settings.levels
        levels = (torch.arange(n, device=grey.device)[:, None] + within) / n
        return isophotes(grey[:, None], levels.to(grey)).flatten(0, 1)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        if not self.training:
            grey = stretch(batch["image"])
            error = (self.recall(grey, self.left_half) - grey)[:, ~self.left_half].square().mean()
            return {**self.likelihood(self.bits(batch["image"])), "recall_mse": error}
        data = self.bits(random_symmetry(batch["image"])[0])
        samples, share = self.samples(data)
        free_energy, log_z = self.net.free_energy(data).mean(), self.log_partition()
        losses = {"energy_gap": free_energy - share @ self.net.free_energy(samples)}
        if log_z is not None:
            losses["log_likelihood"] = -free_energy - log_z
        return losses

    def samples(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """States of the pixels, (n, pixels), and the share that each of them has in the negative phase, (n,)."""
        if self.net.enumerable:
            states = all_states(self.net.n_visible).to(data)
            return states, torch.softmax(-self.net.free_energy(states), 0).detach()
        self.states = self.negative.step(self.net, self.states, data)
        chains = self.states[-1]
        return chains, torch.full_like(chains[:, 0], 1 / len(chains))

    @torch.no_grad()
    def log_partition(self) -> Tensor | None:
        """Exact for few units, else by bridges (Bennett 1976) between the temperatures of a training's chains."""
        if self.net.enumerable:
            return torch.tensor(self.net.log_partition(), device=self.device)
        if self.states is None:
            return None
        ladder = Temperatures(self.net, self.negative.betas.to(self.states))
        hotter, colder = log_bridge(ladder.log_ratios(self.states))
        return self.net.log_z_base.to(hotter) + (hotter - colder).sum()

    def forward(self, images: Tensor) -> Tensor:
        """The right half of pictures (n, 1, size, size) recalled from the left, stretched, (n, pixels)."""
        grey = stretch(images)
        return torch.where(self.left_half, grey, self.recall(grey, self.left_half))

    @property
    def left_half(self) -> Tensor:
        """True at the pixels of the left half, (pixels,)."""
        size = self.settings.size
        return (torch.arange(size, device=self.device) < size // 2).repeat(size)

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures, the half that is given, and what the machine recalls of them, below each other."""
        grey = stretch(batch["image"])[:N_EXAMPLES]
        return {"truth_half_recalled": self.grid(grey, grey * self.left_half, self.recall(grey, self.left_half))}

    def recall(self, grey: Tensor, known: Tensor) -> Tensor:
        """Complete stretched pictures, (pictures, pixels), from the pixels where ``known``, (pixels,), is True."""
        return self.posterior_mean(grey, torch.where(known, torch.inf, 0.0))

    def clean(self, grey: Tensor, wrong: float) -> Tensor:
        """Clean stretched pictures, (pictures, pixels), of which a share ``wrong`` of the pixels shows any grey."""
        flipped = wrong / 2  # an isophote sees half of the wrong pixels on the right side
        return self.posterior_mean(grey, torch.full_like(self.net.offset, math.log((1 - flipped) / flipped)))

    def posterior_mean(self, grey: Tensor, log_odds: Tensor) -> Tensor:
        """Mean over the isophotes of what the machine makes of them; see ``BoltzmannMachine.recall``."""
        recalled = self.net.recall(self.shapes(grey), log_odds, self.settings.recall_sweeps)
        return recalled.view(len(grey), self.settings.levels, -1).mean(1)
