from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.cluster_maps import ClusterMapsDataModule
from pipeline.errors import InputError


def write_maps(folder: Path, splits: list[str], size: int = 8) -> None:
    n = len(splits)
    maps = np.arange(n, dtype=np.float16)[:, None, None] * np.ones((size, size), np.float16)
    np.save(folder / "flux.npy", -maps)
    np.save(folder / "mass.npy", maps)
    np.save(folder / "statistics.npy", maps[:, 0, :3].astype(np.float32))
    rows = [f"{i},{i // 2},{i / 2},{10 + i},{split}" for i, split in enumerate(splits)]
    (folder / "catalogue.csv").write_text("map,cluster,age_gyr,distance_kpc,split\n" + "\n".join(rows) + "\n")


SCATTERED = ["train", "test", "train", "val", "train", "train"]
SORTED = ["train", "train", "train", "train", "val", "test"]


@pytest.mark.parametrize("splits", [SCATTERED, SORTED])
def test_maps_travel_with_their_labels(tmp_path: Path, splits: list[str]) -> None:
    write_maps(tmp_path, splits)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1)
    data.setup()
    seen = []
    for name in ("train", "val", "test"):
        for batch in data._loader(name):
            assert batch["flux"].shape[1:] == (1, 8, 8)
            assert all(tensor.dtype == torch.float32 for tensor in batch.values())
            names = ("flux", "mass", "statistics", "age", "distance")
            for flux, mass, statistics, age, distance in zip(*(batch[name] for name in names), strict=True):
                row = int(mass[0, 0, 0])
                assert splits[row] == name
                assert (flux == -row).all() and age == row / 2 and distance == 10 + row
                assert statistics.tolist() == [row, row, row]
                seen.append(row)
    assert sorted(seen) == list(range(6))


def test_consecutive_maps_stay_on_disk(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1)
    data.setup()
    assert data.splits["train"]["flux"].dtype == torch.float16
    storages = {data.splits[split]["flux"].untyped_storage().data_ptr() for split in ("train", "val", "test")}
    assert len(storages) == 1


def test_training_order_depends_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)

    def order(seed: int, epoch: int) -> list[float]:
        data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=seed)
        data.setup()
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [float(value) for batch in loader for value in batch["age"]]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(1, epoch)) for epoch in range(8)}) > 1


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "mass.npy").unlink(), "mass.npy"),
        (lambda f: (f / "flux.npy").write_bytes(b"no"), "flux.npy"),
        (lambda f: np.save(f / "flux.npy", np.zeros((2, 8, 8), np.float16)), "2 flux maps"),
        (lambda f: np.save(f / "flux.npy", np.zeros((6, 8), np.float16)), "2 dimensions"),
        (lambda f: (f / "statistics.npy").unlink(), "statistics.npy"),
        (lambda f: np.save(f / "statistics.npy", np.zeros((5, 3), np.float32)), "5 rows of statistics.npy"),
        (lambda f: (f / "catalogue.csv").unlink(), "catalogue.csv"),
        (lambda f: (f / "catalogue.csv").write_text("map,split,age_gyr\n0,train,1\n"), "distance_kpc"),
    ],
)
def test_bad_folder_is_named_in_one_line(tmp_path: Path, harm, words: str) -> None:
    write_maps(tmp_path, SORTED)
    harm(tmp_path)
    with pytest.raises(InputError, match=words):
        ClusterMapsDataModule(tmp_path, batch_size=2, seed=1).setup()


def test_empty_split_is_refused(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 5 + ["val"])
    with pytest.raises(InputError, match="split test"):
        ClusterMapsDataModule(tmp_path, batch_size=2, seed=1).setup()
