"""Other ways to P(distance, age | map): neural posterior estimation of the sbi toolbox, Gaussians, ridge regression.

All answer in y = (log10 distance, age), scaled to the box [-1, 1]² of the energy, and are restricted to it. sbi is
imported where it is needed: only this benchmark does (Tejero-Cantero et al. 2020, JOSS 5, 2505).
"""

import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from lit_modules.networks.energy.box import cell_volume, inside, unit_grid
from lit_modules.networks.energy.posterior import marginals, quantiles
from pipeline.errors import InputError
from pipeline.outputs import atomic_file

GRID = 96  # of a side of the grid on which densities are normalised
DRAWS = 2000  # of a flow's posterior of each map
SIDE, FOLD = 160, 4  # pixels of a map, and of a side of the blocks that become channels
KNOWN = 3  # statistics, the last, that a reader of the picture is told too: light, PSF, noise


class Simulations(NamedTuple):
    """What is seen of maps, (n, N), and their y (n, 2)."""

    seen: Tensor
    y: Tensor


class Answers(NamedTuple):
    """What a posterior says of maps: minus its log density at the truth, nats (n,), and the medians of y (n, 2)."""

    nll: Tensor
    medians: Tensor


class Trained(NamedTuple):
    """A density estimator of sbi, and the CPU minutes of its training."""

    estimator: Any
    minutes: float


# --- densities that are known on a grid ----------------------------------------------------------------------------


def on_grid(log_density: Tensor, at_truth: Tensor) -> Answers:
    """Of normalised log densities at the nodes of ``unit_grid``, (n, nodes, nodes), and at the truth, (n,)."""
    return Answers(-at_truth, medians(log_density))


def medians(log_density: Tensor) -> Tensor:
    """Of both marginals, (n, 2)."""
    probability = log_density.exp() * cell_volume(log_density.shape[-1])
    return torch.stack([quantiles(marginal, [0.5])[:, 0] for marginal in marginals(probability)], -1)


def gaussian(mean: Tensor, covariance: Tensor, y: Tensor) -> Answers:
    """Of N(mean (n, 2), covariance (n, 2, 2)), restricted to the box."""
    normal = MultivariateNormal(mean.double(), covariance.double())
    grid = unit_grid(GRID).double()
    raw = normal.log_prob(grid[:, None]).T
    share = raw.logsumexp(1) + math.log(cell_volume(GRID))  # of it that lies in the box
    return on_grid((raw - share[:, None]).unflatten(1, (GRID, GRID)), normal.log_prob(y.double()) - share)


def scaled_gaussian(energy: Any, targets: Any, found: Any, y: Tensor) -> Answers:
    """Of the independent normals that π-DOC states of its scaled targets: the box scales them linearly too."""
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    low, high = targets.scale(*energy.from_box(corners))
    mean = 2 * (found.mean - low) / (high - low) - 1
    sigma = 2 * found.sigma / (high - low)
    return gaussian(mean, torch.diag_embed(sigma**2), y)


def quadratic_ridge(train: Simulations, calibration: Simulations, seen: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Means (n, 2) for what is ``seen``, and the covariance of the residuals of calibration maps, (2, 2).

    Ridge regression on the products of the first principal components of the statistics.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    components = PCA(min(40, train.seen.shape[1], len(train.y) // 4), random_state=1)
    products = PolynomialFeatures(2, include_bias=False)
    penalties = RidgeCV((1e0, 1e1, 1e2, 1e3, 1e4))
    ridge = make_pipeline(StandardScaler(), components, products, StandardScaler(), penalties)
    ridge.fit(train.seen.double().numpy(), train.y.double().numpy())
    means = [torch.from_numpy(ridge.predict(x.double().numpy())) for x in (calibration.seen, *seen)]
    residuals = calibration.y - means[0]
    return means[1:], residuals.T @ residuals / len(residuals)


# --- neural posterior estimation ------------------------------------------------------------------------------------


def trained_flow(
    kept: Path, kind: str, train: Simulations, val: Simulations, epochs: int, embedding: nn.Module | None = None
) -> Trained:
    """Neural posterior estimation (Papamakarios & Murray 2016) with all defaults of sbi, but for the validation.

    sbi sets a tenth of the simulations aside, which would be other looks at the clusters it trains on; here the
    clusters that choose the epoch are those that choose it for the energy.

    Args:
        kept: file of its weights, which an earlier run may have written.
        kind: ``nsf``, ``maf`` or ``mdn``.
        train: simulations to learn from.
        val: simulations that choose the epoch.
        epochs: at most; 20 without gain end the training.
        embedding: network between what is seen and the flow, which standardises its own input; None: z-scores.

    Raises:
        InputError: sbi is not installed.
    """
    posterior_nn, box, trainer = _sbi()
    torch.manual_seed(1)
    build = posterior_nn(kind) if embedding is None else posterior_nn(kind, z_score_x="none", embedding_net=embedding)
    if kept.exists():
        stored = torch.load(kept, weights_only=True)
        estimator = build(train.y, train.seen)
        estimator.load_state_dict(stored["weights"])
        return Trained(estimator.eval(), stored["minutes"])
    start = time.process_time()
    n, n_val = len(train.y), len(val.y)
    npe = trainer(prior=box, density_estimator=build, tracker=NoTracker(), show_progress_bars=False)
    npe.train_indices, npe.val_indices = torch.arange(n + n_val).split([n, n_val])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a statistic is constant, and that it ends at the last epoch
        npe.append_simulations(torch.cat([train.y, val.y]), torch.cat([train.seen, val.seen]))
        estimator = npe.train(max_num_epochs=epochs, validation_fraction=n_val / (n + n_val))
    minutes = (time.process_time() - start) / 60
    with atomic_file(kept) as temporary:
        torch.save({"weights": estimator.state_dict(), "minutes": minutes}, temporary)
    return Trained(estimator.eval(), minutes)


def _sbi() -> tuple[Callable[..., Any], Any, Any]:
    """What builds densities, the prior's box, and the trainer, told which simulations validate."""
    try:
        from sbi.inference import NPE
        from sbi.neural_nets import posterior_nn
        from sbi.utils import BoxUniform
    except ImportError as error:
        raise InputError(f"{error}: this benchmark compares with sbi; pip install 'sbi>=0.27'") from error

    class ByCluster(NPE):
        def get_dataloaders(
            self, starting_round: int, batch_size: int, fraction: float, _: bool, dataloader_kwargs: Any = None
        ) -> Any:
            return super().get_dataloaders(starting_round, batch_size, fraction, True, dataloader_kwargs)

    return posterior_nn, BoxUniform(-torch.ones(2), torch.ones(2)), ByCluster


class NoTracker:
    """In place of sbi's TensorBoard, which writes into the working folder."""

    log_dir = None

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """Forget it."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Forget them."""

    def log_params(self, params: dict[str, Any]) -> None:
        """Forget them."""

    def add_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Forget it."""

    def flush(self) -> None:
        """Nothing to write."""


@torch.no_grad()
def flow(estimator: Any, test: Simulations) -> Answers:
    """Of a density estimator, restricted to the box by the share of its draws that lie in it."""
    torch.manual_seed(1)
    nll, middle = [], []
    for seen, y in zip(test.seen.split(50), test.y.split(50), strict=True):
        draws = estimator.sample((DRAWS,), condition=seen)  # (draws, n, 2)
        within = inside(draws)
        nll.append(within.double().mean(0).log() - estimator.log_prob(y[None], condition=seen)[0])
        middle.append(draws.where(within[..., None], torch.nan).nanmedian(0).values)
    return Answers(torch.cat(nll), torch.cat(middle))


class FoldedMaps(nn.Module):
    """Embedding of log flux maps and what is known of the look, (B, 160² + 3) -> (B, 64), by convolutions.

    Blocks of 4 x 4 pixels become channels: 40 x 40 pixels of 16 channels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.PixelUnshuffle(FOLD),
            nn.Conv2d(FOLD**2, 32, 3, padding=1),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.GELU(),
        )
        self.read = nn.Sequential(nn.Linear(128 + KNOWN, 128), nn.GELU(), nn.Linear(128, 64), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        """The features; shifts centre log F, log light, PSF and log noise."""
        pixels, known = x[:, :-KNOWN] + 6, x[:, -KNOWN:] + x.new_tensor([-1.0, -4.0, 6.0])
        image = self.convolutions(pixels.view(-1, 1, SIDE, SIDE))
        return self.read(torch.cat([image.mean((2, 3)), image.amax((2, 3)), known], 1))
