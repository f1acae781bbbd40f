import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from pipeline.errors import InputError

TELESCOPE = {"psf_sigma": 1.0, "pixel_arcsec": 0.25, "pixels": 8, "log_flux_floor": -8.0, "light_unit": 16.0}


def write_maps(folder: Path, splits: list[str], size: int = 8) -> None:
    """Maps k of mass k everywhere, and of light that gives a flux of 10^-k."""
    n = len(splits)
    (folder / "maps").mkdir()
    (folder / "seen").mkdir()
    k = np.arange(n)[:, None, None]
    light = 10.0**-k * 4 * np.pi * (10 + k) ** 2 / TELESCOPE["light_unit"]
    np.save(folder / "maps/light.npy", (light * np.ones((size + 8, size + 8))).astype(np.float16))
    np.save(folder / "maps/mass.npy", (k * np.ones((size, size))).astype(np.float16))
    np.save(folder / "seen/statistics.npy", (k[:, 0] * np.ones(3)).astype(np.float32))
    (folder / "seen/telescope.json").write_text(json.dumps(TELESCOPE))
    rows = [f"{i},{i // 2},{i / 2},{10 + i},{20 + i},{-i},0,{i},0,{split}" for i, split in enumerate(splits)]
    header = "map,cluster,age_gyr,distance_kpc,field_log_mass,flux_mean,flux_std,mass_mean,mass_std,split"
    (folder / "seen/catalogue.csv").write_text("\n".join([header, *rows]) + "\n")


SCATTERED = ["train", "test", "train", "val", "train", "train"]
SORTED = ["train", "train", "train", "train", "val", "test"]


@pytest.mark.parametrize("splits", [SCATTERED, SORTED])
def test_maps_travel_with_their_labels(tmp_path: Path, splits: list[str]) -> None:
    write_maps(tmp_path, splits)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    seen = []
    for name in ("train", "val", "test"):
        for batch in data._loader(name):
            assert batch["flux"].shape[1:] == (1, 8, 8)
            assert all(tensor.dtype == torch.float32 for tensor in batch.values())
            names = ("flux", "mass", "statistics", "age", "distance", "field")
            for flux, mass, statistics, age, distance, field in zip(*(batch[name] for name in names), strict=True):
                row = int(mass[0, 0, 0])
                assert splits[row] == name
                assert (flux + row).abs().max() < 2e-3
                assert age == row / 2 and distance == 10 + row and field == 20 + row
                assert statistics.tolist() == [row, row, row]
                seen.append(row)
    assert sorted(seen) == list(range(6))


def test_no_map_is_drawn_that_training_does_not_read(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    data.maps = ("mass",)
    names = {"mass", "statistics", "age", "distance", "field"}
    assert all(set(batch) == names for batch in data.train_dataloader())
    assert set(next(iter(data.observed("val")))) == {"flux", *names}


def test_consecutive_maps_stay_on_disk(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    assert data.splits["train"]["light"].dtype == torch.float16
    storages = {data.splits[split]["light"].untyped_storage().data_ptr() for split in ("train", "val", "test")}
    assert len(storages) == 1


def test_training_serves_the_statistics_of_further_maps(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 12 + ["val", "test"])
    data = ClusterMapsDataModule(tmp_path, batch_size=3, seed=1, statistics_passes=4)
    data.setup()
    batches = list(data.train_dataloader())
    for batch in batches:
        assert len(batch["flux"]) == len(batch["mass"]) == 3 and len(batch["age"]) == 12
        assert (batch["field"][:3] == 20 + batch["mass"][:, 0, 0, 0]).all()
        assert (batch["statistics"][:, 0] == batch["field"] - 20).all()
        assert (batch["age"] == batch["field"] / 2 - 10).all()
    served = torch.cat([batch["field"] for batch in batches]).unique(return_counts=True)[1]
    assert served.tolist() == [4] * 12
    assert all(len(batch["age"]) == len(batch["flux"]) for batch in data.val_dataloader())


def test_training_order_depends_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)

    def order(seed: int, epoch: int) -> list[float]:
        data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=seed, statistics_passes=1)
        data.setup()
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [float(value) for batch in loader for value in batch["age"]]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(1, epoch)) for epoch in range(8)}) > 1


def test_observed_maps_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 5 + ["val", "test"])
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=3)
    data.setup()
    assert torch.cat([batch["age"] for batch in data.observed("train")]).tolist() == [0, 0.5, 1, 1.5, 2]
    assert torch.cat([batch["age"] for batch in data.observed("train", every=2)]).tolist() == [0, 1, 2]


def test_a_map_with_noise_is_the_one_that_was_kept(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)
    np.save(tmp_path / "seen/flux.npy", np.full((6, 8, 8), -5, np.float16))
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    assert all((batch["flux"] == -5).all() and batch["flux"].shape[1:] == (1, 8, 8) for batch in data.observed("train"))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "maps/mass.npy").unlink(), "mass.npy"),
        (lambda f: (f / "maps/light.npy").write_bytes(b"no"), "light.npy"),
        (lambda f: np.save(f / "maps/light.npy", np.zeros((2, 8, 8), np.float16)), "2 rows of light.npy"),
        (lambda f: np.save(f / "maps/light.npy", np.zeros((6, 8), np.float16)), "2 dimensions"),
        (lambda f: (f / "seen/statistics.npy").unlink(), "statistics.npy"),
        (lambda f: np.save(f / "seen/statistics.npy", np.zeros((5, 3), np.float32)), "5 rows of statistics.npy"),
        (lambda f: (f / "seen/catalogue.csv").unlink(), "catalogue.csv"),
        (lambda f: (f / "seen/catalogue.csv").write_text("map,cluster,split,age_gyr\n0,0,train,1\n"), "distance_kpc"),
        (lambda f: (f / "seen/telescope.json").unlink(), "telescope.json"),
        (lambda f: (f / "seen/telescope.json").write_text('{"psf": 4}'), "telescope.json"),
    ],
)
def test_bad_folder_is_named_in_one_line(tmp_path: Path, harm, words: str) -> None:
    write_maps(tmp_path, SORTED)
    harm(tmp_path)
    with pytest.raises(InputError, match=words):
        ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1).setup()


def test_empty_split_is_refused(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 5 + ["val"])
    with pytest.raises(InputError, match="split test"):
        ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1).setup()
