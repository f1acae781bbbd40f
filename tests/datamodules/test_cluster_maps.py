import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.cluster_maps import ClusterMapsDataModule, MapLoader
from datamodules.loader import EpochSampler
from pipeline.errors import InputError

TELESCOPE = {
    "psf_sigma": 1.0,
    "pixel_arcsec": 0.25,
    "pixels": 8,
    "log_flux_floor": -8.0,
    "light_unit": 16.0,
    "sky_error": 0.0,
}
LOOKS = [[1.0, 0, 0, 0, 0], [0.5, 1e3, 0, 0, 1], [0.5, 1e4, 0, 0, 2]]  # which look it is, log flux tells: 3 or 4


def write_maps(folder: Path, splits: list[str], size: int = 8) -> None:
    """Maps k of mass k everywhere, and of light that gives a flux of 10^-k; look l has statistics k and l."""
    n = len(splits)
    (folder / "maps").mkdir()
    (folder / "seen").mkdir()
    k = np.arange(n)[:, None, None]
    light = 10.0**-k * 4 * np.pi * (10 + k) ** 2 / TELESCOPE["light_unit"]
    np.save(folder / "maps/light.npy", (light * np.ones((size + 8, size + 8))).astype(np.float16))
    np.save(folder / "maps/mass.npy", (k * np.ones((size, size))).astype(np.float16))
    numbers = np.broadcast_arrays(k[:, 0], np.arange(len(LOOKS)))
    np.save(folder / "seen/statistics.npy", np.stack(numbers, 2).astype(np.float32))
    np.save(folder / "seen/looks.npy", np.tile(LOOKS, (n, 1, 1)))
    (folder / "seen/telescope.json").write_text(json.dumps(TELESCOPE))
    rows = [f"{i},{i // 2},{i / 2},{10 + i},{20 + i},{-i},0,{i},0,{split}" for i, split in enumerate(splits)]
    header = "map,cluster,age_gyr,distance_kpc,field_log_mass,flux_mean,flux_std,mass_mean,mass_std,split"
    (folder / "seen/catalogue.csv").write_text("\n".join([header, *rows]) + "\n")


def look_of(flux: torch.Tensor) -> torch.Tensor:
    """Number of the look of flux maps (B, 1, H, W), by the noise that they do not fall below."""
    lowest = flux.amin((1, 2, 3))
    return (lowest > 2.9).long() + (lowest > 3.9).long()


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
            looks = look_of(batch["flux"])
            names = ("flux", "mass", "statistics", "age", "distance", "field")
            for k, (flux, mass, statistics, age, distance, field) in enumerate(
                zip(*map(batch.get, names), strict=True)
            ):
                row = int(mass[0, 0, 0])
                assert splits[row] == name
                assert looks[k] or (flux + row).abs().max() < 2e-3
                assert age == row / 2 and distance == 10 + row and field == 20 + row
                assert statistics.tolist() == [row, looks[k]]
                seen.append(row)
    assert sorted(seen) == list(range(6))


def drawn(path: Path, epochs: int, **parameters: int) -> torch.Tensor:
    """Map and look of each row (epochs, rows, 2) of the statistics of a training."""
    data = ClusterMapsDataModule(path, **({"batch_size": 4, "seed": 1, "statistics_passes": 1} | parameters))
    data.setup()
    loader = data.train_dataloader()
    served = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        served.append(torch.cat([batch["statistics"] for batch in loader]))
    return torch.stack(served)


def test_training_draws_a_look_at_each_map_anew_each_epoch(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 12 + ["val", "test"])
    served = drawn(tmp_path, epochs=200)
    rows, looks = served.unbind(2)
    for row in range(12):
        counts = torch.bincount(looks[rows == row].long(), minlength=3)
        assert counts.sum() == 200 and 40 < counts.min()  # 67 expected, with a deviation of 7
    assert (drawn(tmp_path, epochs=5) == served[:5]).all()
    assert not (drawn(tmp_path, epochs=5, seed=2) == served[:5]).all()


def test_further_passes_see_other_looks(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 12 + ["val", "test"])
    served = drawn(tmp_path, epochs=1, statistics_passes=8)[0]
    assert all(len(served[served[:, 0] == row, 1].unique()) > 1 for row in range(12))


def test_the_looks_of_an_epoch_are_known_by_heart(tmp_path: Path) -> None:
    """Map and look of each row in both passes, as they were before batches had a plan and maps stayed in the file."""
    write_maps(tmp_path, [*["train", "val", "train"] * 3, "test", "train"])
    data = ClusterMapsDataModule(tmp_path, batch_size=3, seed=1, statistics_passes=2)
    data.setup()
    loader = data._loader("train", shuffle=True)
    loader.sampler.set_epoch(3)
    expected = [
        [[2, 0], [6, 0], [3, 2], [2, 1], [6, 0], [3, 0]],
        [[10, 1], [8, 1], [0, 2], [10, 0], [8, 1], [0, 1]],
    ]
    for batch, rows in zip(loader, expected, strict=True):
        assert batch["statistics"].tolist() == rows
        assert torch.stack([batch["mass"][:, 0, 0, 0], look_of(batch["flux"])], 1).tolist() == rows[:3]


def test_processes_share_the_looks_that_one_would_see(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 12 + ["val", "test"])
    data = ClusterMapsDataModule(tmp_path, batch_size=4, seed=1, statistics_passes=1)
    data.setup()

    def batches(passes: int, rank: int = 0, world_size: int = 1) -> list[dict[str, torch.Tensor]]:
        sampler = EpochSampler(12, 4, shuffle=True, seed=1, rank=rank, world_size=world_size)
        sampler.set_epoch(3)
        return list(MapLoader(data.splits["train"], data.files, sampler, data.telescope, passes))

    for one, first, second in zip(batches(2), batches(2, 0, 2), batches(2, 1, 2), strict=True):
        assert (one["flux"] == torch.cat([first["flux"], second["flux"]])).all()
        by_pass = [half["statistics"].unflatten(0, (2, 2)) for half in (first, second)]
        assert (one["statistics"].unflatten(0, (2, 4)) == torch.cat(by_pass, 1)).all()


def test_validation_takes_the_looks_in_turn(tmp_path: Path) -> None:
    write_maps(tmp_path, ["train"] * 2 + ["val"] * 7 + ["test"])
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    batches = list(data.val_dataloader())
    assert torch.cat([batch["statistics"] for batch in batches])[:, 1].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert torch.cat([look_of(batch["flux"]) for batch in batches]).tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("look", [0, 1, 2])
def test_a_look_is_observed_as_often_as_asked(tmp_path: Path, look: int) -> None:
    write_maps(tmp_path, SCATTERED)
    data = ClusterMapsDataModule(tmp_path, batch_size=3, seed=1, statistics_passes=1)
    data.setup()
    for _ in range(2):
        for batch in data.observed("train", look):
            assert (batch["statistics"][:, 1] == look).all() and (look_of(batch["flux"]) == look).all()


def test_calibration_is_that_of_the_file_else_validation(tmp_path: Path) -> None:
    for name, splits in (("own", [*SORTED, "calibration"]), ("none", SORTED)):
        (tmp_path / name).mkdir()
        write_maps(tmp_path / name, splits)
        data = ClusterMapsDataModule(tmp_path / name, batch_size=2, seed=1, statistics_passes=1)
        data.setup()
        expected = {"own": [3.0], "none": data.splits["val"]["age"].tolist()}[name]
        assert data.splits["calibration"]["age"].tolist() == expected


def test_no_map_is_drawn_that_training_does_not_read(tmp_path: Path) -> None:
    write_maps(tmp_path, SORTED)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    data.maps = ("mass",)
    names = {"mass", "statistics", "age", "distance", "field"}
    assert all(set(batch) == names for batch in data.train_dataloader())
    assert set(next(iter(data.observed("val")))) == {"flux", *names}


@pytest.mark.parametrize("splits", [SCATTERED, SORTED])
def test_a_scattered_split_copies_no_map(tmp_path: Path, splits: list[str]) -> None:
    """Maps are in no other tensor than those of the files, where what is written into a file shows."""
    write_maps(tmp_path, splits)
    data = ClusterMapsDataModule(tmp_path, batch_size=2, seed=1, statistics_passes=1)
    data.setup()
    held = [data.files, *data.splits.values()]
    maps = [tensor for group in held for tensor in group.values() if tensor.ndim > 2 and tensor.shape[-1] >= 8]
    assert len(maps) == 2
    for name, tensor in data.files.items():
        assert tensor.dtype == torch.float16 and len(tensor) == len(splits)
        with (tmp_path / f"maps/{name}.npy").open("r+b") as file:
            file.seek(-2, 2)
            file.write(np.float16(7.5).tobytes())
        assert tensor.flatten()[-1] == 7.5
    assert data.splits["train"]["map"].tolist() == [k for k, split in enumerate(splits) if split == "train"]


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


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: (f / "maps/mass.npy").unlink(), "mass.npy"),
        (lambda f: (f / "maps/light.npy").write_bytes(b"no"), "light.npy"),
        (lambda f: np.save(f / "maps/light.npy", np.zeros((2, 8, 8), np.float16)), "2 rows of light.npy"),
        (lambda f: np.save(f / "maps/light.npy", np.zeros((6, 8), np.float16)), "2 dimensions"),
        (lambda f: (f / "seen/statistics.npy").unlink(), "statistics.npy"),
        (lambda f: np.save(f / "seen/statistics.npy", np.zeros((5, 3, 2), np.float32)), "5 rows of statistics.npy"),
        (lambda f: np.save(f / "seen/statistics.npy", np.zeros((6, 3), np.float32)), "2 dimensions"),
        (lambda f: np.save(f / "seen/looks.npy", np.zeros((6, 2, 5))), "looks.npy"),
        (lambda f: np.save(f / "seen/looks.npy", np.zeros((6, 3, 4))), "looks.npy"),
        (lambda f: (f / "seen/looks.npy").unlink(), "looks.npy"),
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
