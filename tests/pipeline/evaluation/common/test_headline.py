"""The measure that sums a model up, and its best rival by direction."""

from pipeline.evaluation.common.headline import headline, headline_row

METRICS = {
    "test/mse": 2.0, "test/mse_low": 1.0, "test/mse_high": 3.0,
    "baseline/pca_32/mse": 4.0, "baseline/mean_picture/mse": 9.0, "train/baseline/pca_32/mse": 0.5,
    "test/log_likelihood_nats": -860.0, "baseline/nothing/log_likelihood_nats": -2000.0,
    "baseline/independent_pixels/log_likelihood_nats": -900.0, "test/loss": 1.0,
}  # fmt: skip


def test_the_best_rival_is_the_lowest_error_or_the_highest_likelihood() -> None:
    assert headline_row(headline(METRICS, "test/mse", {})) == {"value": 2.0, "low": 1.0, "high": 3.0, "best_rival": 4.0}
    likelihood = headline(METRICS, "test/log_likelihood_nats", {"log_likelihood_nats": "likelihood (nats)"})
    assert (likelihood.label, likelihood.best_rival) == ("likelihood (nats)", "independent pixels")
    assert headline_row(likelihood) == {"value": -860.0, "best_rival": -900.0}, "no interval: none is made up"
    assert headline_row(headline(METRICS, "test/loss", {})) == {"value": 1.0}
