"""Trains the autoencoder on randomly deformed pictures."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_modules.base import Batch, PictureReader
from lit_modules.examples import tiles
from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from lit_modules.networks.autoencoder.code import active_share, idle, sparse
from lit_modules.networks.autoencoder.deformation import deform, draw_deformations
from lit_modules.networks.autoencoder.settings import AutoencoderSettings
from pipeline.errors import InputError

N_EXAMPLES = 8
MOST_COPIES = 10_000  # that training starts from: more take memory and change their components hardly
LINEAR_RATE = 1 / 30  # of the other layers' learning rate: AdamW's usual steps are as large as the axes' entries


class LitAutoencoder(PictureReader):
    """Least squares reconstruction; the weights of the last epoch are exported, as in the course.

    Buffers:
        validation_errors: mean square errors of all validation pictures at the end of the fit, sorted, (n,): no
            weight was fitted to them, so they say how large the error of a new picture may be.
        drawn: whether this project drew the pictures, which are phantoms then.
    """

    Settings = AutoencoderSettings
    settings: AutoencoderSettings
    monitor = None
    validation_errors: Tensor
    drawn: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = Autoencoder(self.settings)
        self.register_buffer("validation_errors", torch.zeros(0))
        self.register_buffer("drawn", torch.tensor(False))

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        return (self.settings.snapshot_epoch,)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)

    def fit_statistics(self, data: Any) -> None:
        super().fit_statistics(data)
        self.drawn.fill_(data.drawn)
        images = data.splits["train"]["image"]
        size = images.shape[-1]
        if size != self.settings.side:
            raise InputError(f"model.side is {self.settings.side} but the pictures have {size} pixels; make them equal")
        if self.settings.copies:
            self.net.fit(self.deformed_copies(images), localised=True)
        else:
            self.net.fit(images)

    def copies_of_each(self, n: int) -> int:
        """Deformed copies of each of ``n`` pictures that training starts from: of many pictures fewer."""
        return min(self.settings.copies, -(-MOST_COPIES // n))

    def deformed_copies(self, images: Tensor) -> Tensor:
        """The deformed copies of pictures (n, 1, side, side) that training starts from, (copies · n, 1, side, side)."""
        return torch.cat([self.deformed(images, step) for step in range(self.copies_of_each(len(images)))])

    def deformed(self, images: Tensor, step: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """One rank's pictures, deformed at random: drawn for the global batch, so that ranks change nothing."""
        generator = torch.Generator().manual_seed(self.settings.augment_seed * 1_000_003 + step)
        n = len(images)
        drawn = draw_deformations(self.settings, n * world_size, images.shape[-1], generator)
        grids, tones = (part[rank * n : (rank + 1) * n].to(images.device) for part in drawn)
        return deform(images, grids, tones)

    def parameter_groups(self) -> list[dict[str, Any]]:
        linear = {name: weight for name, weight in self.net.named_parameters() if name.startswith("linear")}
        others = [weight for name, weight in self.net.named_parameters() if name not in linear]
        # The principal axes are nearly the best start of every code but that of kl, where each entry is to rest mostly
        rate = 1.0 if self.settings.code == "kl" else LINEAR_RATE
        return [{"params": others}, {"params": list(linear.values()), "lr": rate * self.settings.lr}]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Mean square error of ``image`` as redrawn from ``input``, where there is one; with what sparse codes add."""
        images = batch["image"]
        coefficients = self.net.coefficients(batch.get("input", images))
        reconstruction = F.mse_loss(self.net.decode(sparse(coefficients, self.settings)), images)
        if self.settings.code in ("dense", "top_k"):
            return {"loss": reconstruction}
        return {"loss": reconstruction + self.net.penalty(coefficients), "reconstruction": reconstruction}

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        images = self.deformed(batch["image"], self.global_step, self.global_rank, self.trainer.world_size)
        batch = {"image": images}
        if self.settings.noise:
            batch["input"] = images + self.settings.noise * torch.randn_like(images)
        return super().training_step(batch, batch_idx)

    @torch.no_grad()
    def on_fit_end(self) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        batches = data.splits["val"]["image"].to(self.device).split(data.settings.batch_size)
        self.validation_errors = torch.cat([self.errors(batch) for batch in batches]).sort().values

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        stored = checkpoint["state_dict"].get("validation_errors", self.validation_errors)
        self.validation_errors = torch.empty_like(stored)  # as many; weights without any are refused as another model's

    def errors(self, images: Tensor) -> Tensor:
        """Mean square error of each picture (n, 1, side, side), (n,)."""
        return (self.net(images) - images).square().flatten(1).mean(dim=1)

    @torch.no_grad()
    def active_share(self, images: Tensor) -> float:
        """Share of the entries of the code that a picture (n, 1, side, side) uses noticeably, on average."""
        return float(active_share(self.net.encode(images)))

    @torch.no_grad()
    def activity(self, images: Tensor) -> float:
        """Mean activity of the code's entries, whose target ``kl`` has, over pictures (n, 1, side, side)."""
        return float((1 - idle(self.net.coefficients(images))).mean())

    def percentile(self, error: float) -> float:
        """Percentage of the validation pictures whose error is smaller."""
        return 100 * float((self.validation_errors < error).double().mean())

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures, their reconstructions, and three times the absolute difference, below each other."""
        images = batch["image"][:N_EXAMPLES]
        redrawn = self.net(images).clamp(0, 1)
        return {"original_reconstructed_difference": tiles(images, redrawn, (3 * (images - redrawn).abs()).clamp(0, 1))}
