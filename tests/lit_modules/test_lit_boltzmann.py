"""Lightning modules of both machines: what they learn, and that an interrupted training is exact."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from datamodules.base import TensorDataModule
from lit_modules.boltzmann import LitMachine, LitRBM
from lit_modules.general_boltzmann import LitBoltzmann
from lit_modules.networks.boltzmann.pixels import stretch
from lit_modules.networks.symmetry import symmetries
from pipeline.errors import InputError
from pipeline.settings.base import DataSettings
from pipeline.training.callbacks import Curves, SeedEachBatch

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

    def rows(self, split: str) -> list[dict[str, str]]:
        return [{"file": f"{split}/{k}.png"} for k in range(len(self.splits[split]["image"]))]


def make(name: str, **changes: Any) -> LitMachine:
    torch.manual_seed(1)
    common = {"size": SIZE, "hidden": 6, "chains": 50, "lr": 0.01, "weight_decay": 0.0, **changes}
    if name == "rbm":
        rbm = {"levels": 1, "negative": "pcd", "sweeps": 2, "temperatures": 5, "offset_rate": 0.01}
        return LitRBM(**{**rbm, **common})
    return LitBoltzmann(**{"sweeps": 2, "temperatures": 4, "levels": 8, "recall_sweeps": 10, **common})


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
    fitter.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return fitter


class StopAfter(pl.Callback):
    def __init__(self, epochs: int, path: Path) -> None:
        self.epochs, self.path = epochs, path

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch + 1 == self.epochs:
            trainer.save_checkpoint(self.path)
            trainer.should_stop = True


@pytest.mark.parametrize(("name", "changes"), [("rbm", {}), ("rbm", {"negative": "pt"}), ("boltzmann", {})])
def test_an_interrupted_training_goes_on_exactly(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    whole = make(name, **changes)
    fit(whole, 4)
    first = make(name, **changes)
    data = Discs("", seed=1, batch_size=16)
    data.setup()
    first.fit_statistics(data)
    interrupted = trainer(4)
    interrupted.callbacks.append(StopAfter(2, tmp_path / "last.ckpt"))  # type: ignore[attr-defined]
    interrupted.fit(first, datamodule=data)
    assert interrupted.current_epoch == 2
    resumed = make(name, **changes)
    fit(resumed, 4, tmp_path / "last.ckpt")
    assert whole.states is not None and torch.equal(whole.states, resumed.states)
    for key, tensor in whole.chains().items():
        assert torch.equal(tensor, resumed.chains()[key]), key
    for key, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[key]), key
    assert set(whole.state_dict()) == {f"net.{name}" for name in whole.net.state_dict()} | {"padded", "white"}


def mean_of(images: Tensor, levels: int) -> Tensor:
    """Share of the pictures, and of one of even states, at or above each level; a pixel of one level is half lit."""
    grey = stretch(images)
    states = torch.arange(1, levels + 1)[:, None]
    above = grey[:, None] if levels == 1 else ((grey[:, None] * levels + 0.5).floor() >= states).float()
    return (above.sum(0) + 1 - states / (levels + 1)) / (len(images) + 1)


@pytest.mark.parametrize("levels", [1, 4])
def test_rbm_improves_on_independent_pixels(levels: int) -> None:
    module = make("rbm", levels=levels, lr=0.1)
    data = Discs("", seed=1, batch_size=16)
    data.setup()
    module.fit_statistics(data)
    held_out = module.bits(discs(32, 9).repeat(20, 1, 1, 1))

    @torch.no_grad()
    def likelihood() -> float:
        return float(-module.net.free_energy(held_out).mean()) - module.net.log_partition()

    before = likelihood()
    states = held_out.view(-1, levels, SIZE**2).sum(1)
    mean = symmetries(mean_of(discs(32, 0), levels).view(levels, SIZE, SIZE)).mean(0).flatten(1)
    chances = torch.cat([torch.ones_like(mean[:1]), mean, torch.zeros_like(mean[:1])]).diff(dim=0).neg()
    independent = torch.distributions.Categorical(chances.T).log_prob(states).sum(1).mean()
    assert before == pytest.approx(float(independent), abs=0.3)
    fit(module, 80)
    assert likelihood() > before + 1


def curves_of(module: LitMachine, epochs: int) -> list[dict[str, float]]:
    kept = Curves("mine")
    data = Discs("", seed=1, batch_size=16)
    data.setup()
    module.fit_statistics(data)
    fitter = trainer(epochs)
    fitter.callbacks.append(kept)  # type: ignore[attr-defined]
    fitter.fit(module, datamodule=data)
    return kept.rows


@pytest.mark.parametrize("negative", ["cd", "pcd", "pt"])
def test_the_curves_show_the_likelihood(negative: str) -> None:
    """At the end of the training that of the exact log Z, over the draws of the validation's seed."""
    module = make("rbm", hidden=14, negative=negative, lr=0.003, chains=200, levels=2)
    rows = curves_of(module, 20)
    assert set(rows[-1]) == {
        *(f"val/{name}" for name in ("log_likelihood", "free_energy_gap", "reconstruction_mse")),
        *(f"train/{name}" for name in ("log_likelihood", "energy_gap")), "epoch",
    }  # fmt: skip
    module.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        free_energies = {
            split: float(module.net.free_energy(module.bits(discs(32, k).repeat(100, 1, 1, 1))).mean())
            for k, split in enumerate(("train", "val"))
        }
    exact = -free_energies["val"] - module.net.log_partition()
    assert rows[-1]["val/log_likelihood"] == pytest.approx(exact, abs=0.7)
    assert rows[-1]["val/free_energy_gap"] == pytest.approx(free_energies["val"] - free_energies["train"], abs=1)
    assert rows[-1]["val/log_likelihood"] > rows[0]["val/log_likelihood"]


def test_few_hidden_units_are_summed() -> None:
    module = make("rbm", hidden=12)
    curves_of(module, 1)
    assert float(module.log_partition()) == pytest.approx(module.net.log_partition())
    assert float(module.log_partition()) != float(module.running.value)


def test_only_moving_offsets_move() -> None:
    moved, fixed = make("rbm", offset_rate=0.1), make("rbm", offset_rate=0.0)
    for module in (moved, fixed):
        fit(module, 2)
    assert (fixed.net.hidden_offset == 0.5).all() and (moved.net.hidden_offset != 0.5).all()
    assert torch.equal(fixed.net.offset, moved.net.offset)


@pytest.mark.parametrize("name", ["rbm", "boltzmann"])
def test_double_precision_and_example_images(name: str) -> None:
    module = make(name)
    fit(module, 1, precision="64-true")
    module.float().eval()
    [grid] = module.example_images({"image": discs(12, 3)}).values()
    assert grid.shape[0] == 1 and grid.shape[2] == 8 * (SIZE + 1) - 1
    assert 0 <= float(grid.min()) and float(grid.max()) <= 1


def data_of(images: Tensor, batch_size: int = 4) -> Discs:
    data = Discs("discs-8", seed=1, batch_size=batch_size)
    data.splits = {"train": {"image": images}}
    return data


def test_pictures_that_cannot_be_learned_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"8 pixels wide, but model\.size is 10"):
        make("rbm", size=10).fit_statistics(data_of(discs(4, 0)))
    grey = discs(4, 0)
    grey[2] = 0.3
    with pytest.raises(InputError, match=r"discs-8/train/2\.png: a picture of a single grey"):
        make("rbm").fit_statistics(data_of(grey))
    with pytest.raises(InputError, match=r"discs-8/train/1\.png: values outside"):
        make("rbm").fit_statistics(data_of(discs(4, 0) * torch.tensor([1.0, 255, 1, 1])[:, None, None, None]))
    make("rbm").fit_statistics(data_of(discs(4, 0)))
    assert not capsys.readouterr().err
    make("rbm").fit_statistics(data_of(discs(4, 0), batch_size=5))
    assert "batch_size is 5: each step sees all 4 training pictures" in capsys.readouterr().err


def test_a_diverged_training_is_told_in_one_line() -> None:
    with pytest.raises(InputError, match=r"mine: val/log_likelihood is (nan|-?inf) in epoch .; lower mine\.model\.lr"):
        curves_of(make("rbm", lr=1e38), 5)


def test_mixed_precision_is_refused() -> None:
    """It would round the free energies, and with them log-likelihoods, by some nats."""
    with pytest.raises(InputError, match=r"trainer\.precision is bf16-mixed, which rounds energies; take 32-true"):
        fit(make("rbm"), 1, precision="bf16-mixed")
