"""What every LightningModule here shares: one step for three splits, one naming, one optimiser."""

import math
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.errors import InputError
from pipeline.settings.base import ModelSettings

Batch = dict[str, Tensor]


class LitBase(pl.LightningModule):
    """A network with named losses; ``"loss"`` is the one minimised.

    Its parameters are declared by ``Settings``, beside the network; ``LitX(**values)`` checks them and
    keeps them as ``self.settings``, and as a plain dictionary in the checkpoint.

    ``monitor`` names the metric whose lowest value picks the weights that are kept; None keeps
    the last ones. ``example_images`` may return named image grids, (3 or 1, height, width) in
    [0, 1], which go to the tracker at the end of the training.

    Raises:
        pydantic.ValidationError: a parameter is missing, unknown or out of its bounds.
    """

    Settings: ClassVar[type[ModelSettings]]
    settings: Any
    monitor: ClassVar[str | None] = "val/loss"

    def __init__(self, **parameters: Any) -> None:
        super().__init__()
        self.settings = self.Settings(**parameters)
        self.save_hyperparameters(self.settings.model_dump(), logger=False)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms of a batch of tensors, all of the same first dimension."""
        raise NotImplementedError

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Named image grids for the tracker, made from one validation batch."""
        return {}

    def fit_statistics(self, data: Any) -> None:
        """Take normalisation constants from the training split of a data module; they are buffers of the network."""

    def predict_step(self, batch: Batch, batch_idx: int) -> Any:
        """The network's answer to a batch; by default, that to its first tensor."""
        return self(next(iter(batch.values())))

    def _step(self, batch: Batch, split: str) -> Tensor:
        losses = self.losses(batch)
        self.log_dict(
            {f"{split}/{name}": value.detach() for name, value in losses.items()},
            batch_size=len(next(iter(batch.values()))),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
        )
        return losses["loss"]

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._step(batch, "test")

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All parameters, in groups that may have a learning rate ``"lr"`` of their own."""
        return [{"params": list(self.parameters())}]

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle learning rate with its peak at ``settings.lr``, or that of a group of parameters."""
        groups = self.parameter_groups()
        optimizer = torch.optim.AdamW(groups, lr=self.settings.lr, weight_decay=self.settings.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class PictureReader(LitBase):
    """A model of pictures that knows how those it was trained on became grey squares.

    Buffers:
        padded: whether they were padded to squares; False: their middle was cut out.
        white: the level of the files that became white: 255 of 8 bits.
    """

    padded: Tensor
    white: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.register_buffer("padded", torch.tensor(False))
        self.register_buffer("white", torch.tensor(255))

    def fit_statistics(self, data: Any) -> None:
        self.padded.fill_(data.padded)
        self.white.fill_(data.white)


class MapReader(LitBase):
    """A model of flux maps, log10 F/(Lsun kpc⁻²), that knows what it was trained on.

    Buffers:
        psf_sigma: of the telescope's point-spread function, pixels.
        pixel_arcsec: side of a pixel.
        log_flux_floor: log10 F below which no pixel of a training map falls.
        flux_range: lowest and highest mean (first row) and standard deviation (second row) of log10 F over the pixels
            of a training map.
    """

    statistics_length: ClassVar[int]  # numbers that ``map_statistics`` makes of a map
    maps: tuple[str, ...] = ()  # of flux and mass, those that training reads beside statistics and labels
    psf_sigma: Tensor
    pixel_arcsec: Tensor
    log_flux_floor: Tensor
    flux_range: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.register_buffer("psf_sigma", torch.tensor(4.0))  # these three as in params.yaml, until told by data
        self.register_buffer("pixel_arcsec", torch.tensor(0.25))
        self.register_buffer("log_flux_floor", torch.tensor(-8.0))
        self.register_buffer("flux_range", torch.tensor([[-math.inf, math.inf], [-math.inf, math.inf]]))

    def fit_statistics(self, data: Any) -> None:
        """Take the telescope and the range of the training maps from a data module, and tell it which maps to draw.

        Raises:
            InputError: the statistics are others than ``map_statistics`` makes, or a pixel is not finite.
        """
        data.maps = self.maps
        train = data.splits["train"]
        if train["statistics"].shape[-1] != self.statistics_length:
            raise InputError("statistics.npy holds other statistics than this network reads; run preprocess_maps again")
        moments = torch.stack([train["flux_mean"], train["flux_std"]])
        if not moments.isfinite().all():
            raise InputError("the training maps hold NaN or infinite pixels; run preprocess_maps again")
        self.flux_range = torch.stack(moments.aminmax(dim=1), 1).float()
        self.psf_sigma.fill_(data.telescope.psf_sigma)
        self.pixel_arcsec.fill_(data.telescope.pixel_arcsec)
        self.log_flux_floor.fill_(data.telescope.log_flux_floor)
