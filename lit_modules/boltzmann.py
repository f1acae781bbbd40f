"""Boltzmann machines of globular-cluster pictures: the general one and the restricted one."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from lit_modules.base import Batch, PictureReader
from lit_modules.examples import tiles
from lit_modules.networks.boltzmann.general import BoltzmannMachine, cooling
from lit_modules.networks.boltzmann.pixels import isophotes, stretch
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from lit_modules.networks.boltzmann.settings import BoltzmannSettings, MachineSettings, RBMSettings
from lit_modules.networks.symmetry import random_symmetry, symmetries
from pipeline.errors import InputError

PSEUDO_LIKELIHOOD_PIXELS = 512
N_EXAMPLES = 8
GROWN_SWEEPS = (1, 30)  # Gibbs sweeps after which an artificial cluster is shown


class LitMachine(PictureReader):
    """What both machines share: pictures of one size, and Gibbs chains that go on from step to step.

    Each process has its own chains. They are no buffer (DDP would overwrite them with those of
    rank 0) and no weight: a training's checkpoint carries them under a key of their own.
    """

    monitor: ClassVar[str | None] = None  # a difference of energies tells nothing of the fit
    settings: MachineSettings
    net: Any
    states: Tensor | None = None  # of the persistent chains

    def fit_statistics(self, data: Any) -> None:
        """Start as independent pixels with the training pictures' mean, made symmetric.

        Raises:
            InputError: the pictures do not have the size of the model.
        """
        super().fit_statistics(data)
        images, size = data.splits["train"]["image"], self.settings.size
        if images.shape[-2:] != (size, size):
            width = images.shape[-1]
            raise InputError(f"the pictures are {width} pixels wide, but model.size is {size}; make them equal")
        mean = (stretch(images).sum(0) + 0.5) / (len(images) + 1)  # never 0 or 1
        self.net.start_from(symmetries(mean.view(size, size)).mean(0).flatten())

    def start_of_chains(self, like: Tensor) -> Tensor:
        """Where the persistent chains stand; at first, independent pixels."""
        if self.states is None:
            return self.net.offset.expand(self.settings.chains, -1).bernoulli()
        return self.states.to(like)

    def grid(self, *rows: Tensor) -> Tensor:
        """Rows of pictures, (pictures, pixels) each, as one picture, (1, height, width)."""
        size = self.settings.size
        return tiles(*(row.view(-1, 1, size, size) for row in rows))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.states is not None:
            own = self.states.to(torch.uint8)
            every: Any = self.all_gather(own)
            checkpoint["chains"] = every.reshape(-1, *own.shape).cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "chains" in checkpoint:
            self.states = checkpoint["chains"][self.global_rank % len(checkpoint["chains"])]


class LitBoltzmann(LitMachine):
    """General Boltzmann machine, trained to recall a picture from its half.

    Grey pictures become binary by isophotes: at a random level each in training, at several
    levels in recall, whose mean is grey again. Clusters have no orientation, so each picture
    is turned and mirrored at random.
    """

    Settings = BoltzmannSettings
    settings: BoltzmannSettings
    net: BoltzmannMachine

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = BoltzmannMachine(self.settings.size**2, self.settings.hidden)
        self.temperatures = cooling(self.settings.hot, self.settings.sweeps)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        images = random_symmetry(batch["image"])[0] if self.training else batch["image"]
        grey = stretch(images)
        positive = self.net.complete(isophotes(grey, torch.rand_like(grey[:, :1])), self.temperatures)
        start = self.start_of_chains(positive) if self.training else positive
        negative = self.net.anneal(start, self.temperatures, range(start.shape[1]))
        losses = {"loss": self.net.energy(positive).mean() - self.net.energy(negative).mean()}
        if self.training:
            self.states = negative
        else:
            unknown = ~self.left_half
            losses["recall_mse"] = (self.recall(grey, self.left_half) - grey)[:, unknown].square().mean()
        return losses

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
        n = self.settings.levels
        levels = ((torch.arange(n, device=grey.device) + 0.5) / n).to(grey)[:, None]
        binary = isophotes(grey[:, None], levels).flatten(0, 1)
        sweeps = self.settings.recall_sweeps
        recalled = self.net.recall(binary, known, cooling(self.settings.hot, sweeps), sweeps)
        return recalled.view(len(grey), n, -1).mean(1)


class LitRBM(LitMachine):
    """Restricted Boltzmann machine by contrastive divergence or persistent chains.

    A pixel's stretched intensity is the probability that it is lit, so a picture is drawn anew,
    turned and mirrored, each time it is shown: it then looks like stars.
    """

    Settings = RBMSettings
    settings: RBMSettings
    net: RestrictedBoltzmannMachine

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = RestrictedBoltzmannMachine(self.settings.size**2, self.settings.hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (n, 1, size, size) through the hidden layer and back, stretched, (n, pixels)."""
        return self.reconstruct(stretch(images))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        grey = stretch(random_symmetry(batch["image"])[0] if self.training else batch["image"])
        data = grey.bernoulli()
        go_on = self.training and self.settings.persistent
        samples = self.net.gibbs(self.start_of_chains(data) if go_on else data, self.settings.sweeps)
        losses = {
            "loss": self.net.free_energy(data).mean() - self.net.free_energy(samples).mean(),
            "reconstruction_mse": (self.reconstruct(grey) - grey).square().mean(),
        }
        if go_on:
            self.states = samples
        if not self.training:
            pixels = torch.randperm(data.shape[1], device=data.device)[:PSEUDO_LIKELIHOOD_PIXELS]
            losses["log_pseudo_likelihood"] = self.net.log_pseudo_likelihood(data, pixels).mean()
        return losses

    def reconstruct(self, grey: Tensor) -> Tensor:
        """Stretched pictures, (pictures, pixels), through the hidden layer and back."""
        return self.net.visible(self.net.hidden(grey))

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures, their reconstructions, and artificial clusters grown from them, below each other."""
        grey = stretch(batch["image"])[:N_EXAMPLES]
        grown = [self.net.grow(grey[None], sweeps) for sweeps in GROWN_SWEEPS]
        return {"original_reconstructed_artificial": self.grid(grey, self.reconstruct(grey), *grown)}
