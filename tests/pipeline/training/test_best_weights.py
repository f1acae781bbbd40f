"""The weights of the best epoch are those that are kept, whenever a training was killed."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from pipeline.training.callbacks import BestWeights


class Counting(pl.LightningModule):
    """Its one weight grows by one an epoch, and so does its loss: the first epoch is the best."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.log("val/loss", self.weight.detach(), on_step=False, on_epoch=True)
        return -self.weight  # plain gradient descent adds the learning rate

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def trained(checkpoint: Path | None, save_to: Path | None = None) -> float:
    module = Counting()
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[BestWeights("val/loss"), *([SaveLast(save_to)] if save_to else [])],
    )  # fmt: skip
    data = DataLoader(TensorDataset(torch.zeros(1)))
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    return float(module.weight.detach())


class SaveLast(pl.Callback):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        trainer.save_checkpoint(self.path)


def test_a_training_that_was_killed_after_its_last_epoch_keeps_the_best_weights(tmp_path: Path) -> None:
    last = tmp_path / "last.ckpt"
    assert trained(None, last) == 2.0, "after the first epoch"
    state = torch.load(last, weights_only=True)["state_dict"]
    assert state["weight"] == 4.0, "after the third"
    assert trained(last) == 2.0
