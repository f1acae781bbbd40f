"""What both Boltzmann machines of globular-cluster pictures share, and the restricted one."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from lit_modules.base import Batch, PictureReader
from lit_modules.examples import tiles
from lit_modules.networks.boltzmann.learning_rate import held_then_falling
from lit_modules.networks.boltzmann.negative_phase import NegativePhase
from lit_modules.networks.boltzmann.pixels import chances, drawn, mean_bits, stretch
from lit_modules.networks.boltzmann.restricted import RestrictedBoltzmannMachine
from lit_modules.networks.boltzmann.running_log_partition import RunningLogPartition
from lit_modules.networks.boltzmann.settings import MachineSettings, RBMSettings
from lit_modules.networks.symmetry import random_symmetry, symmetries
from pipeline.errors import InputError, warn

EXACT_HIDDEN = 12  # up to so many hidden units log Z is summed at each validation
WATCHED = 1000  # training pictures, at most, whose free energy is compared with that of validation
N_EXAMPLES = 8
GROWN_SWEEPS = (1, 30)  # Gibbs sweeps after which an artificial cluster is shown


class LitMachine(PictureReader):
    """What both machines share: pictures of one size, Gibbs chains that go on from step to step, and log Z.

    Each process has its own chains. They are no buffer (DDP would overwrite them with those of
    rank 0) and no weight: a training's checkpoint carries them under a key of their own.

    The energy gap, ⟨F⟩ of data less ⟨F⟩ of chains, has the slope of -log p, but its value tells nothing of the fit:
    the log-likelihood does.

    Attributes:
        states: of the negative phase; None before the first step.
        watched: training pictures whose free energy is compared with that of validation; None outside of one.
        log_z: as the last validation found it.
    """

    minimised = "energy_gap"
    monitor: ClassVar[str | None] = None
    settings: MachineSettings
    net: Any
    states: Tensor | None = None
    watched: Tensor | None = None
    log_z: Tensor | None = None

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.resumed: dict[str, Tensor] = {}

    def mean_bits(self, images: Tensor) -> Tensor:
        """Mean of the visible units over pictures (n, 1, size, size), inside (0, 1): (levels, pixels)."""
        raise NotImplementedError

    def bits(self, images: Tensor) -> Tensor:
        """Visible units of pictures, drawn anew each time; (n, 1, size, size) -> (n, levels * pixels)."""
        raise NotImplementedError

    def fit_statistics(self, data: Any) -> None:
        """Start as independent pixels with the training pictures' mean, made symmetric.

        Raises:
            InputError: the pictures do not have the size of the model, or values that it cannot learn.
        """
        super().fit_statistics(data)
        images, size = data.splits["train"]["image"], self.settings.size
        if images.shape[-2:] != (size, size):
            width = images.shape[-1]
            raise InputError(f"the pictures are {width} pixels wide, but model.size is {size}; make them equal")
        low, high = images.flatten(1).aminmax(dim=1)
        refuse(data, low == high, "a picture of a single grey; take it out of the set")
        refuse(data, ~((low >= 0) & (high <= 1)), "values outside [0, 1]; scale them to it")
        if data.settings.batch_size > len(images):
            warn(f"data.batch_size is {data.settings.batch_size}: each step sees all {len(images)} training pictures")
        self.net.start_from(symmetries(self.mean_bits(images).unflatten(-1, (size, size))).mean(0).flatten())
        self.watched = images[:WATCHED].clone()  # without the others

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Couplings, and biases, which do not decay: they hold the mean picture."""
        biases = {name: weight for name, weight in self.named_parameters() if name.endswith("bias")}
        couplings = [weight for name, weight in self.named_parameters() if name not in biases]
        return [{"params": couplings}, {"params": list(biases.values()), "weight_decay": 0.0}]

    def configure_optimizers(self) -> Any:
        """Gradient descent at ``settings.lr``, which falls linearly to 0 after the first tenth of the steps.

        Centred gradients need no scale of their own for each weight, and chains follow steady steps best.
        """
        optimizer = torch.optim.SGD(self.parameter_groups(), self.settings.lr, weight_decay=self.settings.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: held_then_falling(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Refuse what would round log-likelihoods in silence.

        Raises:
            InputError: the precision is mixed.
        """
        if self.trainer.precision.endswith("mixed"):
            raise InputError(f"trainer.precision is {self.trainer.precision}, which rounds energies; take 32-true")

    def on_train_start(self) -> None:
        if self.resumed:
            self.states = self.resumed["negative"].to(self.net.offset)

    def chains(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of this process's chains; nothing before the first step."""
        return {} if self.states is None else {"negative": self.states.to(torch.uint8)}

    def log_partition(self) -> Tensor | None:
        """Log Z in nats; None where nothing tells it."""
        raise NotImplementedError

    def on_validation_epoch_start(self) -> None:
        self.log_z = self.log_partition()
        if self.watched is not None:
            self.watched_free_energy = self.net.free_energy(self.bits(self.watched.to(self.device))).mean()

    on_test_epoch_start = on_validation_epoch_start

    def likelihood(self, data: Tensor) -> dict[str, Tensor]:
        """Mean log-likelihood of pictures, (n, bits), and how much less likely they are than training ones (nats)."""
        free_energy = self.net.free_energy(data).mean()
        found = {}
        if self.log_z is not None:
            found["log_likelihood"] = -free_energy - self.log_z
        if self.watched is not None:
            found["free_energy_gap"] = free_energy - self.watched_free_energy
        return found

    def grid(self, *rows: Tensor) -> Tensor:
        """Rows of pictures, (pictures, pixels) each, as one picture, (1, height, width)."""
        size = self.settings.size
        return tiles(*(row.view(-1, 1, size, size) for row in rows))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["chains"] = {name: self.of_all_processes(tensor).cpu() for name, tensor in self.chains().items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        every = checkpoint.get("chains", {})  # exported weights have none
        self.resumed = {name: kept[self.global_rank % len(kept)] for name, kept in every.items()}

    def of_all_processes(self, own: Tensor) -> Tensor:
        """A tensor of each process, (processes, ...)."""
        every: Any = self.all_gather(own)
        return every.reshape(-1, *own.shape)


class LitRBM(LitMachine):
    """Restricted Boltzmann machine by contrastive divergence, persistent chains or parallel tempering.

    A pixel is lit with a probability that is its stretched intensity, drawn anew each time a picture is shown; or, of
    several levels, its intensity is rounded to one of them, for noise would hide that a star covers several pixels.
    Clusters have no orientation, so each picture is turned and mirrored at random.
    """

    Settings = RBMSettings
    settings: RBMSettings
    net: RestrictedBoltzmannMachine
    running: RunningLogPartition | None = None

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        it = self.settings
        self.net = RestrictedBoltzmannMachine(it.size**2, it.hidden, it.levels)
        self.negative = NegativePhase(it.negative, it.chains, it.sweeps, it.temperatures)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (n, 1, size, size) through the hidden layer and back, stretched, (n, pixels)."""
        return self.reconstruct(stretch(images))

    def mean_bits(self, images: Tensor) -> Tensor:
        return mean_bits(chances(stretch(images), self.settings.levels), self.settings.levels)

    def bits(self, images: Tensor) -> Tensor:
        return drawn(stretch(images), self.settings.levels)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        if not self.training:
            grey = stretch(batch["image"])
            error = (self.reconstruct(grey) - grey).square().mean()
            return {**self.likelihood(self.bits(batch["image"])), "reconstruction_mse": error}
        data = self.bits(random_symmetry(batch["image"])[0])
        self.recentre(data)
        self.states = self.negative.step(self.net, self.states, data)
        free_energy = self.net.free_energy(data).mean()
        losses = {"energy_gap": free_energy - self.net.free_energy(self.states[-1]).mean()}
        if self.running is not None:
            losses["log_likelihood"] = -free_energy - self.running.value
        return losses

    def recentre(self, data: Tensor) -> None:
        """Move the hidden units' offsets towards their mean over a batch of all processes (Melchior et al. 2016)."""
        mean = self.of_all_processes(self.net.hidden(data).mean(0)).mean(0)
        self.net.move_hidden_offset(mean, self.settings.offset_rate)

    def on_train_start(self) -> None:
        super().on_train_start()
        self.running = RunningLogPartition(self.net)
        if self.resumed:
            self.running.load_state_dict(self.resumed)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Log Z follows each step, before a checkpoint is written, which on_train_batch_end would be too late for."""
        super().optimizer_step(*args, **kwargs)
        if self.running is not None:
            self.running.advance(self.net)

    def chains(self) -> dict[str, Tensor]:
        return super().chains() | ({} if self.running is None else self.running.state_dict())

    def log_partition(self) -> Tensor | None:
        """Exact for few hidden units, else by chains along a training."""
        if self.net.n_hidden <= EXACT_HIDDEN:
            return torch.tensor(self.net.log_partition(), device=self.device)
        return None if self.running is None else self.running.value

    def reconstruct(self, grey: Tensor) -> Tensor:
        """Stretched pictures, (pictures, pixels), through the hidden layer and back."""
        return self.net.grey(self.net.visible(self.net.hidden(chances(grey, self.settings.levels))))

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures, their reconstructions, and artificial clusters grown from them, below each other."""
        images = batch["image"][:N_EXAMPLES]
        grey, parents = stretch(images), self.bits(images)[None]
        grown = [self.net.grey(self.net.grow(parents, sweeps)) for sweeps in GROWN_SWEEPS]
        return {"original_reconstructed_artificial": self.grid(grey, self.reconstruct(grey), *grown)}


def refuse(data: Any, bad: Tensor, why: str) -> None:
    """Name the first training picture that is ``bad``, (pictures,), if any is."""
    if bad.any():
        file = data.rows("train")[int(bad.int().argmax())]["file"]
        raise InputError(f"{data.path}/{file}: {why}")
