"""Lightning modules of both machines: what they learn, and that an interrupted training is exact."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from conftest import training_split
from torch import Tensor

from datamodules.base import TensorDataModule
from lit_modules.boltzmann import LitBoltzmann, LitMachine, LitRBM
from lit_modules.networks.boltzmann.pixels import stretch
from pipeline.errors import InputError
from pipeline.settings.base import DataSettings
from pipeline.training.callbacks import SeedEachBatch

SIZE = 8


def discs(n: int, seed: int) -> Tensor:
    """Round spots of different sizes, a little noisy, (n, 1, SIZE, SIZE)."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    edge = 1 + 3.5 * torch.rand(n, 1, 1, 1, generator=generator)
    noise = 0.01 * torch.rand(n, 1, SIZE, SIZE, generator=generator)
    return (torch.sigmoid(2 * (edge - torch.hypot(axis[:, None], axis))) + noise).clamp(0, 1)


class Discs(TensorDataModule):
    Settings = DataSettings
    padded, white = False, 255

    def setup(self, stage: str | None = None) -> None:
        self.splits = {name: {"image": discs(32, k)} for k, name in enumerate(("train", "val", "test"))}


def make(name: str, **changes: Any) -> LitMachine:
    torch.manual_seed(1)
    common = {"size": SIZE, "hidden": 6, "chains": 50, "lr": 0.01, "weight_decay": 0.0, **changes}
    if name == "rbm":
        return LitRBM(**{"persistent": True, "sweeps": 2, **common})
    return LitBoltzmann(**{"sweeps": 4, "hot": 2.0, "levels": 8, "recall_sweeps": 10, **common})


def trainer(epochs: int, **changes: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[SeedEachBatch(1)],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **changes,
    )


def fit(module: LitMachine, epochs: int, checkpoint: Path | None = None, **changes: Any) -> pl.Trainer:
    data = Discs("", seed=1, batch_size=16)
    data.setup()
    module.fit_statistics(data)
    fitter = trainer(epochs, **changes)
    fitter.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=False)
    return fitter


class StopAfter(pl.Callback):
    def __init__(self, epochs: int, path: Path) -> None:
        self.epochs, self.path = epochs, path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch + 1 == self.epochs:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


@pytest.mark.parametrize("name", ["rbm", "boltzmann"])
def test_an_interrupted_training_goes_on_exactly(name: str, tmp_path: Path) -> None:
    whole = make(name)
    fit(whole, 4)
    first = make(name)
    data = Discs("", seed=1, batch_size=16)
    data.setup()
    first.fit_statistics(data)
    interrupted = trainer(4)
    interrupted.callbacks.append(StopAfter(2, tmp_path / "last.ckpt"))  # type: ignore[attr-defined]
    interrupted.fit(first, datamodule=data)
    assert interrupted.current_epoch == 2
    resumed = make(name)
    fit(resumed, 4, tmp_path / "last.ckpt")
    assert whole.states is not None and torch.equal(whole.states, resumed.states)
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
    assert not any("chains" in key for key in whole.state_dict())


def test_recall_learns_that_clusters_are_round() -> None:
    module = make("boltzmann", lr=0.02)
    fit(module, 40)
    module.eval()
    torch.manual_seed(0)
    grey, known = stretch(discs(32, 9)), module.left_half
    mean = stretch(discs(32, 0)).mean(0)
    recalled = module.recall(grey, known)
    assert known.view(SIZE, SIZE)[:, : SIZE // 2].all() and known.sum() == SIZE * SIZE // 2

    def error(answer: Tensor) -> float:
        return float((answer - grey)[:, ~known].square().mean().sqrt())

    assert error(recalled) < 0.4 * error(mean)


def test_recall_never_sees_the_other_half() -> None:
    module = make("boltzmann").eval()
    grey, known = stretch(discs(4, 0)), module.left_half
    scrambled = torch.where(known, grey, torch.rand_like(grey))
    torch.manual_seed(0)
    honest = module.recall(grey, known)
    torch.manual_seed(0)
    assert torch.equal(module.recall(scrambled, known), honest)
    assert torch.allclose(honest[:, known], grey[:, known], atol=1 / 16)  # half a step of 8 levels


def test_rbm_improves_on_independent_pixels() -> None:
    module = make("rbm")
    data = Discs("", seed=1, batch_size=16)
    data.setup()
    module.fit_statistics(data)
    held_out = stretch(discs(32, 9)).repeat(20, 1).bernoulli()

    @torch.no_grad()
    def likelihood() -> float:
        return float(-module.net.free_energy(held_out).mean()) - module.net.log_partition()

    before = likelihood()
    mean = module.net.offset.expand_as(held_out)
    independent = torch.distributions.Bernoulli(mean).log_prob(held_out).sum(1).mean()
    assert before == pytest.approx(float(independent), abs=0.3)
    fit(module, 40)
    assert likelihood() > before + 1


@pytest.mark.parametrize("persistent", [True, False])
def test_persistent_or_from_the_data(persistent: bool) -> None:
    module = make("rbm", persistent=persistent)
    fit(module, 1)
    assert (module.states is not None) == persistent


@pytest.mark.parametrize("name", ["rbm", "boltzmann"])
def test_double_precision_and_example_images(name: str) -> None:
    module = make(name)
    fit(module, 1, precision="64-true")
    module.float().eval()
    [grid] = module.example_images({"image": discs(12, 3)}).values()
    assert grid.shape[0] == 1 and grid.shape[2] == 8 * (SIZE + 1) - 1
    assert 0 <= float(grid.min()) and float(grid.max()) <= 1


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"8 pixels wide, but model\.size is 10"):
        make("rbm", size=10).fit_statistics(training_split({"image": discs(4, 0)}))
