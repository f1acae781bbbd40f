"""The parts of the evaluation, rows of pictures, and words for any labels, of phantoms and of people's pictures."""

import csv
import io
import json
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
from pipeline.errors import InputError
from pipeline.evaluation.autoencoder import evaluation
from pipeline.evaluation.autoencoder.prediction import predict
from pipeline.evaluation.autoencoder.scores import TRIVIAL
from pipeline.training.registry import MODELS
from tests.pipeline.evaluation.autoencoder.toy import autoencoder


def evaluated(folder: Path, labels: list[str], model: str, drawn: bool = False, **settings: Any) -> Any:
    """Evaluate what ``model`` learns of a set of 8 pictures a label, 3 of them held out, of two patients."""
    rows = []
    rng = np.random.default_rng(0)
    for label in labels:
        (folder / label).mkdir(parents=True)
        for k in range(8):
            Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8)).save(folder / label / f"{k}.png")
            split = "train" if k < 4 else "val" if k < 5 else "test"
            rows.append((f"{label}/{k}.png", label, f"{label}/{min(k, 6)}", split))
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label", "group", "split"), *rows])
    (folder / "preprocess.json").write_text(json.dumps({"padded": True, "white": 4095, "drawn": drawn}))
    learned = PictureData(labels="auto", batch_size=2).of_model(model, ["autoencoder-healthy", "autoencoder-covid"])
    data = ImagesDataModule(folder, seed=1, **learned.model_dump())
    data.setup()
    module, early = autoencoder(**settings), autoencoder(**settings)
    module.fit_statistics(data)  # that of part-way is as its constructor leaves it
    assert (bool(module.padded), int(module.white)) == (True, 4095), "prediction treats a picture as training did"
    params = SimpleNamespace(
        evaluate=SimpleNamespace(pca_components=[2, 16], n_pictures=2), trainer=SimpleNamespace(max_epochs=2)
    )
    result = evaluation.evaluate(module, data, params, early)  # type: ignore[arg-type]
    held_out = data.splits["test"]["image"]
    for key, net in (("test/mse", module), ("test/part_way_mse", early)):
        with torch.no_grad():
            assert float(result.metrics[key]) == pytest.approx(float((net(held_out) - held_out).square().mean())), key
    drawn_after = result.pictures[1].figure.axes
    shown = {axis.get_ylabel(): axis.images[0].get_array() for axis in drawn_after if axis.get_ylabel()}
    for row, net in (("1 epochs", early), ("2 epochs", module)):
        with torch.no_grad():
            np.testing.assert_allclose(shown[row], net(held_out[:1])[0, 0].clamp(0, 1), atol=1e-6, err_msg=row)
    for picture in result.pictures:
        picture.figure.savefig(io.BytesIO())  # raises where a label is read as mathematics
    plt.close("all")
    return result


@pytest.mark.parametrize(
    ("labels", "model", "title", "learned", "other"),
    [
        (["covid", "healthy"], "autoencoder-covid", "Autoencoder of lungs: covid", "covid", "healthy"),
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
    caution = "no diagnosis: pictures of two labels often come from two hospitals"
    assert result.labels["novelty_auc"].startswith(f"AUC of the error, {other} against {learned} ({caution})")
    assert f"a picture of {other} has a larger score than one of {learned}" in result.pictures[-1].caption
    assert result.pictures[-1].caption.endswith(f"No{caution[2:]}."), "beside the number"
    rivals = {key.split("/")[1] for key in result.metrics if key.startswith("baseline/") and "auc" in key}
    assert {"brightness", "contrast", "sharpness", "pca_2", "mean_picture", "before_training"} <= rivals
    bounds = [result.metrics[f"test/novelty_auc{end}"] for end in ("_low", "", "_high")]
    assert sorted(bounds) == bounds
    [chart] = result.charts
    assert (chart.kind, set(chart.table["score"])) == (
        "roc",
        {"model", "before_training", "pca_full_rank", *TRIVIAL},
    ) and caution in chart.title


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder of phantoms of two labels, and what was found of it."""
    folder = tmp_path_factory.mktemp("phantoms") / "lungs-12"
    return folder, evaluated(folder, ["covid", "healthy"], "autoencoder-covid", drawn=True)


def test_phantoms_are_called_so(phantoms: tuple[Path, Any]) -> None:
    _, result = phantoms
    assert "copies" not in result.pictures[4].caption, "none"
    assert result.title is None, "that of models.yaml, which says so"
    assert "phantoms" in MODELS["autoencoder-covid"].title and "phantoms" in MODELS["autoencoder-healthy"].title
    assert result.notes[0].startswith("Learned from 4 phantoms labelled covid")
    assert "phantoms: drawings by this project" in result.notes[1] and result.judged_by == "3 phantoms"
    assert "(phantoms: no diagnosis)" in result.labels["novelty_auc"]
    assert "hospital" not in str(result.labels) + str([picture.caption for picture in result.pictures])
    assert result.pictures[0].caption.startswith("Held-out phantoms labelled covid")


def test_a_row_and_a_thumbnail_for_each_picture(phantoms: tuple[Path, Any]) -> None:
    """Held-out ones first, then all of the other label, with errors that an array of the same file gives."""
    folder, result = phantoms
    held_out, new = [f"covid/{k}.png" for k in (5, 6, 7)], [f"healthy/{k}.png" for k in range(8)]
    assert result.items["item"].to_list() == held_out + new
    assert result.items["mean_square_error"][:3].mean() == pytest.approx(result.metrics["test/mse"])
    for item, brightness, contrast in result.items.select("item", "brightness", "contrast").iter_rows():
        pixels = np.asarray(Image.open(folder / item)) / 255
        assert (brightness, contrast) == pytest.approx((pixels.mean(), pixels.std()), rel=1e-5)
    first = np.asarray(Image.open(folder / held_out[0])).repeat(5, 0).repeat(5, 1)
    assert len(result.thumbnails) == 11 and np.array_equal(result.thumbnails[0][:60], first), "above its reconstruction"
    assert result.thumbnails[0].shape == (120, 60)


def test_one_label_has_no_auc_and_four_pictures_have_three_components(tmp_path: Path) -> None:
    """Three of eight numbers are active."""
    result = evaluated(tmp_path / "lungs-12", ["lungs"], "autoencoder-covid", code="top_k", copies=3)
    metrics = result.metrics
    assert result.title == "Autoencoder of lungs"
    assert result.notes[1:] == ["No picture of another label to tell these from, so there is no AUC."]
    drawn = ["reconstructions", "epochs", "interpolation", "error_maps", "errors"]
    assert [picture.name for picture in result.pictures] == drawn
    assert not [key for key in metrics if "auc" in key]
    assert len(result.items) == len(result.thumbnails) == 3 and not result.charts
    rivals = {key.split("/")[1] for key in metrics if key.startswith("baseline/")}
    linear = {"pca_2", "pca_3", "pca_2_of_deformed", "pca_3_of_deformed", "pca_8_of_deformed", "before_training"}
    assert rivals == {"mean_picture", "pca_full_rank"} | linear, "no pca_16"
    assert metrics["test/active_percent"] == pytest.approx(100 * 3 / 8)
    assert "3 of 8 numbers" in result.pictures[0].caption and "of 3 deformed copies" in result.pictures[-1].caption
    for measure in ("mse", "psnr_db", "ssim"):
        low, value, high = (metrics[f"test/{measure}{end}"] for end in ("_low", "", "_high"))
        assert low <= value <= high and f"baseline/before_training/{measure}" in metrics


def test_predict(tmp_path: Path) -> None:
    model = autoencoder()
    model.validation_errors = torch.tensor([0.0, 0.0, 0.0, 1.0])
    Image.effect_noise((30, 20), 60).convert("RGB").save(tmp_path / "a.png")
    result = predict([model], tmp_path / "a.png")
    assert 0 < result.metrics["mse"] < 1 and result.metrics["percentile"] == 75
    assert "larger than that of 75 % of the 4 pictures that" in result.pictures[0].caption
    model.drawn.fill_(True)
    assert "75 % of the 4 phantoms that" in predict([model], tmp_path / "a.png").pictures[0].caption
    assert [picture.name for picture in result.pictures] == ["reconstruction"]
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match=r"b\.png: no picture"):
        predict([model], tmp_path / "b.png")
