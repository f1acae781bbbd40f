"""Mocks of named clusters as FITS pictures, and how their answers are judged."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from benchmarks import named_clusters
from benchmarks.named_clusters import Mock, content, judged, observed
from pipeline.simulation.clusters.named_clusters import NAMED


def test_both_nights_see_the_same_stars(tmp_path: Path) -> None:
    """The noisy picture is the clean one with the photon noise of sky and stars: variance in counts by hand."""
    truth, pictures = observed(NAMED["NGC 7492"], 3, tmp_path)
    clean, noisy = (fits.getdata(path).astype(float) for path in pictures.values())
    electrons = 10 ** (0.4 * (29.3 - 25.0))  # of a count
    sky = 10 ** (-0.4 * (21.9 - 25.0)) * 0.25**2
    z = (noisy - clean) / np.sqrt((clean + sky) / electrons)
    assert z.mean() == pytest.approx(0, abs=0.02)
    assert z.std() == pytest.approx(1, abs=0.02)
    assert truth["distance"] == 24.39 and 0.5 < truth["M/L"] < 4
    total_v = 25 - 2.5 * np.log10(clean.sum())
    assert 11.29 < total_v < 16  # some of the light of the cluster, V = 11.29 in all


def test_content_has_the_exact_binomial_interval() -> None:
    """Clopper and Pearson's: 5 of 10 are 18.7 to 81.3 %."""
    row = content("x", np.arange(10) < 5)
    assert row.value == 50 and row.reached
    assert row.note == "19 to 81 % by 10 mocks"
    assert content("x", np.arange(10) < 4).reached is False


def test_answers_are_judged_by_their_median(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three answers 10, 11 and 20 kpc for 10 kpc, the median is a tenth too far and two intervals hold the truth."""
    monkeypatch.setattr(named_clusters, "QUANTITIES", {"distance": "distance"})
    mocks = [
        Mock(
            {"distance": 10.0},
            {("night", "reader"): {"outside_training": k > 15, "distance": {"value": k, "low": k - 2, "high": k + 2}}},
        )
        for k in (10.0, 11.0, 20.0)
    ]
    bias, inside = judged("Pal 0", mocks, "night", "reader")
    assert bias.name == "Pal 0, night, reader: distance, bias of the median"
    assert bias.value == pytest.approx(10) and bias.reached
    assert "33 % flagged as outside training" in bias.note
    assert inside.value == pytest.approx(200 / 3)
