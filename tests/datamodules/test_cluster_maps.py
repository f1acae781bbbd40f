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
    rows = [f"{i},{i // 2},{i / 2},{10 + i},{20 + i},{split}" for i, split in enumerate(splits)]
    lines = ["map,cluster,age_gyr,distance_kpc,field_log_mass,split", *rows]
    (folder / "catalogue.csv").write_text("\n".join(lines) + "\n")


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
                assert (flux == -row).all() and age == row / 2 and distance == 10 + row and field == 20 + row
                assert statistics.tolist() == [row, row, row]
                seen.append(row)
    assert sorted(seen) == list(range(6))


def test_consecutive_maps_stay_on_disk(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    assert data.splits["train"]["flux"].dtype == torch.float16
    storages = {data.splits[split]["flux"].untyped_storage().data_ptr() for split in ("train", "val", "test")}
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
        ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1).setup()


def test_empty_split_is_refused(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 5 + ["val"])
    with pytest.raises(InputError, match="split test"):
        ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1).setup()
