"""Evaluation of membership as a whole: its numbers, rows, thumbnails and figures agree with what the network says."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from conftest import ROOT
from mock_fields import STARS, mock_fields
from sklearn.metrics import average_precision_score, roc_auc_score

from lit_modules.spectral import LitSpectral
from pipeline.evaluation.common.headline import headline, measures
from pipeline.evaluation.common.result import numbers, write_pictures
from pipeline.evaluation.spectral.evaluation import LABELS, evaluate
from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

PARAMS: Any = load_params(ROOT / "params.yaml")
TEST = 7


def mock_data() -> Any:
    """As much of the data module as evaluation reads; the signal has the spacing of the stars in a third channel."""
    splits = {
        split: mock_fields(n, seed) for seed, (split, n) in enumerate({"train": 40, "val": 3, "test": TEST}.items())
    }
    for fields in splits.values():
        fields["signal"] = torch.cat([fields["signal"], torch.rand(*fields["member"].shape, 1)], -1)
    return SimpleNamespace(
        splits=splits, numbers={"test": 100 + np.arange(TEST)}, distinct_eigenvalues=STARS, file="stars.csv"
    )


def test_evaluate(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, data = LitSpectral(**PARAMS.spectral.model.model_dump()).eval(), mock_data()
    model.fit_statistics(data)
    result = evaluate(model, data, PARAMS.spectral)
    found, fields = numbers(result.metrics), data.splits["test"]

    assert all(re.sub("_(low|high)$", "", key.split("/")[-1]) in LABELS for key in found)
    said = model(fields).sigmoid().detach().numpy()
    for key, score in (("average_precision", average_precision_score), ("membership_auc", roc_auc_score)):
        expected = np.mean([score(truth, values) for truth, values in zip(fields["member"], said, strict=True)])
        assert found[f"test/{key}"] == pytest.approx(expected, abs=1e-6)
        assert measures(found, LABELS)[key].higher
    assert found["test/nll_nats"] == pytest.approx(float(model.losses(fields)["loss"].detach()), rel=1e-5)
    assert headline(found, MODELS["spectral"].headline, LABELS).best_rival == "king profile and star"

    items = result.items
    assert items is not None and items["item"].to_list() == data.numbers["test"].tolist()
    assert items["members_truth"].to_list() == fields["member"].sum(1).tolist()
    np.testing.assert_allclose(items["members_predicted"], said.sum(1), rtol=1e-5)
    assert items["average_precision"].mean() == pytest.approx(found["test/average_precision"])
    missed = 100 * float(items["missed_members"].sum()) / float(fields["member"].sum())
    assert found["test/completeness_percent"] == pytest.approx(100 - missed)
    assert len(result.thumbnails) == TEST and result.thumbnails[0].shape == (128, 64, 3)

    assert {(chart.name, chart.kind) for chart in result.charts} == {
        ("membership", "roc"), ("calibration", "calibration"), ("members", "predicted")
    }  # fmt: skip
    calibration = result.charts[1].table
    assert calibration["stated_percent"].is_sorted() and calibration["found_percent"].is_between(0, 100).all()
    curve = result.charts[0].table.filter(pl.col("score") == "model")
    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
    assert area == pytest.approx(roc_auc_score(fields["member"].ravel(), said.ravel()), abs=1e-3)
    write_pictures(result.pictures, tmp_path)
    assert [picture.name for picture in result.pictures] == ["fields", "curves", "graph", "filters"]
    assert all((tmp_path / f"{picture.name}.png").stat().st_size > 10_000 for picture in result.pictures)


def test_example_pictures_show_members_above_probabilities() -> None:
    """Two stars: the member is bright in the upper picture; the lower one is as bright as the network is sure."""
    model = LitSpectral(**PARAMS.spectral.model.model_dump())
    model.forward = lambda batch: torch.tensor([[-9.0, 9.0]])  # type: ignore[method-assign]
    batch = {"position": torch.tensor([[[1.0, 1.0], [-1.0, -1.0]]]), "member": torch.tensor([[1.0, 0.0]])}
    picture = model.example_images(batch)["members_above_probabilities"][0]
    above, below = picture[:120], picture[121:]
    right, left = (slice(0, 10), slice(-10, None)), (slice(-10, None), slice(0, 10))
    assert (above[right].max(), above[left].max()) == pytest.approx((1.0, 0.2))
    assert (below[right].max(), below[left].max()) == pytest.approx((0.2, 1.0), abs=1e-3)
