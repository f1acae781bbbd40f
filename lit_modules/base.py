"""What every LightningModule here shares: one step for three splits, one naming, one optimiser."""

from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor

from pipeline.settings.base import ModelSettings

Batch = dict[str, Tensor]


class LitBase(pl.LightningModule):
    """A network with named losses, of which ``minimised`` names the one that is minimised.

    Its parameters are declared by ``Settings``, beside the network; ``LitX(**values)`` checks them and
    keeps them as ``self.settings``, and as a plain dictionary in the checkpoint.

    ``monitor`` names the metric whose lowest value picks the weights that are kept; None keeps
    the last ones. ``example_images`` may return named pictures, (3 or 1, height, width) in
    [0, 1], which go to the tracker in the course of the training.

    Raises:
        pydantic.ValidationError: a parameter is missing, unknown or out of its bounds.
    """

    Settings: ClassVar[type[ModelSettings]]
    settings: Any
    minimised: ClassVar[str] = "loss"
    monitor: ClassVar[str | None] = "val/loss"

    def __init__(self, **parameters: Any) -> None:
        super().__init__()
        self.settings = self.Settings(**parameters)
        self.save_hyperparameters(self.settings.model_dump(), logger=False)

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """Numbers of epochs after which the weights are kept beside the exported ones, in ``models/part-way``."""
        return ()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalar terms of a batch of tensors, all of the same first dimension."""
        raise NotImplementedError

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Named pictures for the tracker, made from one validation batch."""
        return {}

    def fit_statistics(self, data: Any) -> None:
        """Take normalisation constants from the training split of a data module; they are buffers of the network."""

    def predict_step(self, batch: Batch, batch_idx: int) -> Any:
        """The network's answer to a batch; by default, that to its first tensor."""
        return self(next(iter(batch.values())))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """The ``loss`` that is minimised, and all ``losses``, whose means the callback ``TrainMeans`` logs."""
        losses = self.losses(batch)
        return {"loss": losses[self.minimised], "losses": {name: value.detach() for name, value in losses.items()}}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._log_losses(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._log_losses(batch, "test")

    def _log_losses(self, batch: Batch, split: str) -> None:
        self.log_dict(
            {f"{split}/{name}": value.detach() for name, value in self.losses(batch).items()},
            batch_size=len(next(iter(batch.values()))),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
        )

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All parameters, in groups that may have a learning rate ``"lr"`` of their own."""
        return [{"params": list(self.parameters())}]

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle learning rate with its peak at ``settings.lr``, or that of a group of parameters."""
        groups = self.parameter_groups()
        # Fused is one pass over the weights, on a CPU a sixth of the time; in mixed precision Lightning cannot clip it
        fused = not self.trainer.precision.endswith("mixed")
        optimizer = torch.optim.AdamW(groups, self.settings.lr, weight_decay=self.settings.weight_decay, fused=fused)
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
