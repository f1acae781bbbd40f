"""Baselines against the eigenvectors of the covariance, rows of pictures, and words for any labels."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.images import ImagesDataModule
from datamodules.settings import PictureData
from lit_modules.autoencoder import LitAutoencoder
from pipeline.errors import InputError
from pipeline.evaluation.autoencoder import evaluation
from pipeline.evaluation.autoencoder.evaluation import errors, linear_fits
from pipeline.evaluation.autoencoder.prediction import predict
from pipeline.evaluation.autoencoder.scores import TRIVIAL


@pytest.mark.parametrize("k", [0, 3, 11])
def test_linear_fits_are_pca(k: int) -> None:
    train, test = torch.rand(2, 12, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    x, new = (pictures.flatten(1).double().numpy() for pictures in (train, test))
    axes = np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :k]
    expected = x.mean(0) + (new - x.mean(0)) @ axes @ axes.T
    fit = linear_fits(train)(k)
    np.testing.assert_allclose(fit(test).flatten(1), expected, atol=1e-9)
    if k == 11:
        assert float(errors(fit, train).max()) < 1e-20, "full rank has no training error"


def autoencoder() -> LitAutoencoder:
    return LitAutoencoder(
        side=10, widths=[8], code="dense", active_units=1, sparsity=0.0, target=0.5, tied=False, noise=0.0, copies=0,
        snapshot_epoch=1, rotation=0.1, scale=0.1, shift=0.1, warp=0.0, contrast=0.0, augment_seed=1, lr=1e-3,
        weight_decay=0.0,
    ).eval()  # fmt: skip


def evaluated(folder: Path, labels: list[str], model: str) -> Any:
    """Evaluate what ``model`` learns of a set of 8 pictures a label."""
    rows = []
    rng = np.random.default_rng(0)
    for label in labels:
        (folder / label).mkdir(parents=True)
        for k in range(8):
            Image.fromarray(rng.integers(0, 256, (10, 10), dtype=np.uint8)).save(folder / label / f"{k}.png")
            split = "train" if k < 4 else "val" if k < 5 else "test"
            rows.append((f"{label}/{k}.png", label, f"{label}/{k}", split))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label", "group", "split"), *rows])
    (folder / "preprocess.json").write_text('{"padded": true, "white": 4095}')
    settings = PictureData(labels="auto", batch_size=2).of_model(model, ["autoencoder-healthy", "autoencoder-covid"])
    data = ImagesDataModule(folder, seed=1, **settings.model_dump())
    data.setup()
    module = autoencoder()
    module.fit_statistics(data)
    assert (bool(module.padded), int(module.white)) == (True, 4095), "prediction treats a picture as training did"
    params = SimpleNamespace(
        evaluate=SimpleNamespace(pca_components=[2, 16], copies=3, n_pictures=2), trainer=SimpleNamespace(max_epochs=1)
    )
    result = evaluation.evaluate(module, data, params, autoencoder())  # type: ignore[arg-type]
    for picture in result.pictures:
        picture.figure.savefig(io.BytesIO())  # raises where a label is read as mathematics
    plt.close("all")
    return result


@pytest.mark.parametrize(
    ("labels", "model", "title", "learned", "other"),
    [
        (["covid", "healthy"], "autoencoder-covid", None, "covid", "healthy"),
        (["COVID", "Normal"], "autoencoder-healthy", "Autoencoder of lungs: Normal", "Normal", "COVID"),
        (["$a_$", "b"], "autoencoder-healthy", "Autoencoder of lungs: $a_$", "$a_$", "b"),
        (["больной", "здоровый"], "autoencoder-covid", "Autoencoder of lungs: здоровый", "здоровый", "больной"),
        (
            ["a", "b", "c", "d", "e", "f"],
            "autoencoder-healthy",
            "Autoencoder of lungs: a",
            "a",
            "b, c, d, e and 1 more",
        ),
    ],
)
def test_words_are_those_of_the_labels(
    tmp_path: Path, labels: list[str], model: str, title: str | None, learned: str, other: str
) -> None:
    result = evaluated(tmp_path / "lungs-10", labels, model)
    assert result.title == title
    assert result.notes == [
        f"Learned from 4 pictures labelled {learned}, watched on 1, judged by 3 that no training saw."
    ]
    assert result.labels["novelty_auc"].startswith(f"AUC of the error, {other} against {learned} (no diagnosis)")
    assert f"a picture of {other} has a larger error than one of {learned}" in result.pictures[-1].caption
    rivals = {key.split("/")[1] for key in result.metrics if key.startswith("baseline/") and "auc" in key}
    assert {"brightness", "contrast", "sharpness", "pca_2", "mean_picture"} <= rivals
    bounds = [result.metrics[f"test/novelty_auc{end}"] for end in ("_low", "", "_high")]
    assert sorted(bounds) == bounds
    [chart] = result.charts
    assert (chart.kind, set(chart.table["score"])) == ("roc", {"model", *TRIVIAL})  # pca_16 there is none


def test_a_row_and_a_thumbnail_for_each_picture(tmp_path: Path) -> None:
    """Held-out ones first, then all of the other label, with errors that an array of the same file gives."""
    result = evaluated(tmp_path / "lungs-10", ["covid", "healthy"], "autoencoder-covid")
    held_out, new = [f"covid/{k}.png" for k in (5, 6, 7)], [f"healthy/{k}.png" for k in range(8)]
    assert result.items["item"].to_list() == held_out + new
    assert result.items["mean_square_error"][:3].mean() == pytest.approx(result.metrics["test/mse"])
    for item, brightness, contrast in result.items.select("item", "brightness", "contrast").iter_rows():
        pixels = np.asarray(Image.open(tmp_path / "lungs-10" / item)) / 255
        assert (brightness, contrast) == pytest.approx((pixels.mean(), pixels.std()), rel=1e-5)
    first = np.asarray(Image.open(tmp_path / "lungs-10" / held_out[0])).repeat(6, 0).repeat(6, 1)
    assert len(result.thumbnails) == 11 and np.array_equal(result.thumbnails[0][:60], first), "above its reconstruction"
    assert result.thumbnails[0].shape == (120, 60)


def test_one_label_has_no_auc(tmp_path: Path) -> None:
    result = evaluated(tmp_path / "lungs-10", ["lungs"], "autoencoder-covid")
    assert result.title == "Autoencoder of lungs"
    assert result.notes[1] == "No picture of another label to tell these from, so there is no AUC."
    assert [picture.name for picture in result.pictures] == ["reconstructions", "epochs", "errors"]
    assert not [key for key in result.metrics if "auc" in key]
    assert len(result.items) == len(result.thumbnails) == 3 and not result.charts


def test_four_pictures_have_three_components(tmp_path: Path) -> None:
    result = evaluated(tmp_path / "lungs-10", ["lungs"], "autoencoder-covid")
    rivals = {key.split("/")[1] for key in result.metrics if key.startswith("baseline/")}
    assert rivals == {"mean_picture", "pca_2", "pca_full_rank", "pca_8_of_deformed"}, "no pca_16 of 4 or 12 pictures"


def test_predict(tmp_path: Path) -> None:
    model = autoencoder()
    model.validation_errors = torch.tensor([0.0, 0.0, 0.0, 1.0])
    Image.effect_noise((30, 20), 60).convert("RGB").save(tmp_path / "a.png")
    result = predict([model], tmp_path / "a.png")
    assert 0 < result.metrics["mse"] < 1 and result.metrics["percentile"] == 75
    assert "larger than that of 75 % of the 4 pictures" in result.pictures[0].caption
    assert [picture.name for picture in result.pictures] == ["reconstruction"]
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b\.png: no picture"):
        predict([model], tmp_path / "b.png")
