"""Trains the autoencoder on randomly deformed pictures."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_modules.base import Batch, PictureReader
from lit_modules.examples import tiles
from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from lit_modules.networks.autoencoder.deformation import deform, draw_deformations
from lit_modules.networks.autoencoder.settings import AutoencoderSettings
from pipeline.errors import InputError

N_EXAMPLES = 8


class LitAutoencoder(PictureReader):
    """Least squares reconstruction; the weights of the last epoch are kept, as in the course.

    Buffers:
        snapshot: eight validation pictures and their reconstructions as they were after ``snapshot_epoch`` epochs,
            (2, 8, 1, side, side).
        validation_errors: mean square errors of all validation pictures at the end of the fit, sorted, (n,): no
            weight was fitted to them, so they say how large the error of a new picture may be.
    """

    Settings = AutoencoderSettings
    settings: AutoencoderSettings
    monitor = None
    snapshot: Tensor
    validation_errors: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        settings = self.settings
        self.net = Autoencoder(settings)
        side = settings.side
        self.register_buffer("snapshot", torch.zeros(2, N_EXAMPLES, 1, side, side))
        self.register_buffer("validation_errors", torch.zeros(0))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)

    def fit_statistics(self, data: Any) -> None:
        super().fit_statistics(data)
        images = data.splits["train"]["image"]
        size = images.shape[-1]
        if size != self.settings.side:
            raise InputError(f"model.side is {self.settings.side} but the pictures have {size} pixels; make them equal")
        self.net.fit(images)

    def deformed(self, images: Tensor, step: int, rank: int = 0, world_size: int = 1) -> Tensor:
        """One rank's pictures, deformed at random: drawn for the global batch, so that ranks change nothing."""
        generator = torch.Generator().manual_seed(self.settings.augment_seed * 1_000_003 + step)
        n = len(images)
        drawn = draw_deformations(self.settings, n * world_size, images.shape[-1], generator)
        grids, tones = (part[rank * n : (rank + 1) * n].to(images.device) for part in drawn)
        return deform(images, grids, tones)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": F.mse_loss(self.net(batch["image"]), batch["image"])}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        images = self.deformed(batch["image"], self.global_step, self.global_rank, self.trainer.world_size)
        return super().training_step({"image": images}, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        fitting = self.trainer.state.fn == "fit"
        if fitting and batch_idx == 0 and self.current_epoch < self.settings.snapshot_epoch:
            images = batch["image"][torch.arange(N_EXAMPLES) % len(batch["image"])]
            self.snapshot.copy_(torch.stack([images, self.net(images)]))

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

    def percentile(self, error: float) -> float:
        """Percentage of the validation pictures whose error is smaller."""
        return 100 * float((self.validation_errors < error).double().mean())

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Pictures, their reconstructions, and three times the absolute difference, below each other."""
        images = batch["image"][:N_EXAMPLES]
        redrawn = self.net(images).clamp(0, 1)
        return {"original_reconstructed_difference": tiles(images, redrawn, (3 * (images - redrawn).abs()).clamp(0, 1))}
