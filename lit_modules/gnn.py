"""The next state of N stars, by a spectral graph network with a learned force law."""

import math
from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch, LitBase
from lit_modules.examples import smooth, tiles, tracks
from lit_modules.networks.graph.nbody import NBodyNetwork
from lit_modules.networks.graph.settings import NBodySettings
from pipeline.errors import InputError

MOST_PAIRS = 1 << 22  # held in memory at once
N_EXAMPLES, EXAMPLE_SIDE = 4, 240  # pictures, and pixels of a side of each


class LitGNN(LitBase):
    """Learns to advance stars by one output step, or by several in a row.

    Batches hold ``position`` and ``velocity`` (B, steps + 1, n, 3), ``time`` (B, steps + 1) and, where
    stars differ, ``mass`` or ``charge`` (B, n). With several steps the network is fed its own
    predictions, which no gradient passes (the pushforward of Brandstetter et al. 2022, arXiv
    2202.03376, sec. 3.1). The error e of a system is the root of its mean square error of positions and
    velocities, in units of a star's typical motion in a step. Minimised is e², or with ``delta`` the
    pseudo-Huber loss √(e² + δ²) - δ, in which a close encounter does not outweigh the many quiet systems.

    With the attribute ``auto`` the network is built for what the training data have.

    Buffers:
        motion: of a star in a step.
        distance_range, speed_range, attribute_range: least and largest of the training: distances of two stars, speeds
            in the centre of mass, masses or charges (masses also of stars that are equally heavy, where known).
        stars_range: least and largest number of stars.
        in_parsecs: whether a unit of length of the training is a parsec, not an N-body unit of no size.
    """

    Settings = NBodySettings
    settings: NBodySettings
    motion: Tensor
    distance_range: Tensor
    speed_range: Tensor
    attribute_range: Tensor
    stars_range: Tensor
    in_parsecs: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = NBodyNetwork(self.settings)
        self.register_buffer("motion", torch.ones(()))
        self.register_buffer("in_parsecs", torch.tensor(False))
        for name in ("distance_range", "speed_range", "attribute_range", "stars_range"):  # until told by data
            self.register_buffer(name, torch.tensor([-math.inf, math.inf]))

    def forward(self, position: Tensor, velocity: Tensor, attribute: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.net(position, velocity, attribute)

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor]:
        return self(batch["position"][:, 0], batch["velocity"][:, 0], self.attribute(batch))

    def attribute(self, tensors: Batch) -> Tensor | None:
        """The masses or charges that the network was built for.

        Raises:
            InputError: the data have others, or none.
        """
        wanted = self.settings.attribute
        found = next((name for name in ("mass", "charge") if name in tensors), "none")
        if wanted != found:
            raise InputError(f"gnn.model.attribute is {wanted}, but that of the data is {found}; make them agree")
        return tensors.get(wanted)

    def fit_statistics(self, data: Any) -> None:
        """Take units, ranges and, where it is ``auto``, the attribute from the groups of windows of the training."""
        groups = data.windows("train")
        if self.settings.attribute == "auto":
            self._build_for(next((name for name in ("mass", "charge") if name in groups[0]), "none"))
        positions, velocities = [group["position"] for group in groups], [group["velocity"] for group in groups]
        attributes = [attribute for group in groups if (attribute := self.attribute(group)) is not None]
        self.net.size = pooled([x - x.mean(2, keepdim=True) for x in positions]).square().mean().sqrt()
        self.net.time = pooled([group["time"][:, 1] - group["time"][:, 0] for group in groups]).mean()
        self.motion = pooled(velocities).square().mean().sqrt() * self.net.time
        if attributes:
            self.net.attribute_unit = pooled(attributes).square().mean().sqrt()
        self._check_units()
        self.in_parsecs = torch.tensor(data.units is not None and data.units.length_unit == "pc")
        stars = torch.tensor([float(x.shape[2]) for x in positions])
        self.stars_range = extent([stars])
        self.distance_range = extent([distances(x[:, 0]) for x in positions])
        self.speed_range = extent([speeds(v[:, 0]) for v in velocities])
        if attributes:
            self.attribute_range = extent(attributes)
        elif data.units is not None and data.units.total_mass is not None:
            self.attribute_range = extent([data.units.total_mass / stars])

    def _check_units(self) -> None:
        """Units that single precision can square.

        Raises:
            InputError: stars lie on one point or rest, or their numbers are too large or too small.
        """
        for what, unit in (("positions", self.net.size), ("motions in a step", self.motion)):
            if not 0 < unit.square() < math.inf:
                raise InputError(
                    f"data/nbody: the {what} of its stars are {unit:.3g} in root mean square; "
                    "give stars that lie apart and move, and check nbody.units"
                )

    def _build_for(self, attribute: str) -> None:
        self.settings = self.settings.model_copy(update={"attribute": attribute})
        self.save_hyperparameters(self.settings.model_dump(), logger=False)
        if attribute != "none":
            self.net = NBodyNetwork(self.settings)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        attribute = self.attribute(batch)
        x, v = batch["position"][:, 0], batch["velocity"][:, 0]
        position_errors, velocity_errors = [], []
        for step in range(1, batch["position"].shape[1]):
            x, v = self.net(x.detach(), v.detach(), attribute)
            position_errors.append((x - batch["position"][:, step]).square().mean((1, 2)))
            velocity_errors.append((v - batch["velocity"][:, step]).square().mean((1, 2)))
        position, velocity = torch.stack(position_errors), torch.stack(velocity_errors)  # (steps, B)
        weighted = position + self.settings.velocity_weight * velocity * self.net.time**2
        loss = pseudo_huber(weighted / self.motion**2, self.settings.delta).mean()
        return {"loss": loss, "position_mse": position.mean(), "velocity_mse": velocity.mean()}

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """Tracks of a few systems in x and y: blue of the simulation, orange of the network, white of both."""
        systems = windows_of_systems(batch["time"][:, 0])[:N_EXAMPLES]
        first, last = (torch.stack([rows[k] for rows in systems]) for k in (0, -1))
        steps = int((batch["time"][last[0], -1] - batch["time"][first[0], 0]) / self.net.time + 0.5)
        attribute = self.attribute({name: tensor[first] for name, tensor in batch.items()})
        rollouts = self.net.rollout(batch["position"][first, 0], batch["velocity"][first, 0], attribute, steps)
        pictures = []
        for rows, end, *predicted in zip(systems, last, *rollouts, strict=True):
            truth = [torch.cat([batch[name][rows, 0], batch[name][end, -1:]]) for name in ("position", "velocity")]
            step = (batch["time"][end, -1] - batch["time"][rows[0], 0]) / len(rows)
            pictures.append(rollout_picture(truth, step, predicted, self.net.time))
        return {"rollouts_and_simulations": tiles(torch.stack(pictures))}


def pseudo_huber(square: Tensor, delta: float | None) -> Tensor:
    """√(e² + δ²) - δ of squared errors e², which beyond δ is as large as e; without δ, e² itself."""
    if delta is None:
        return square
    return square / ((square + delta**2).sqrt() + delta)  # without the difference of near numbers


def windows_of_systems(starts: Tensor) -> list[Tensor]:
    """Rows of the windows of each system, from the times (B,) at which they start, in their order."""
    rows = torch.arange(len(starts), device=starts.device)
    return list(rows.tensor_split(rows[1:][starts[1:] <= starts[:-1]].cpu()))


def rollout_picture(truth: list[Tensor], step: Tensor, predicted: list[Tensor], predicted_step: Tensor) -> Tensor:
    """True and predicted states of stars as tracks about their mean, (3, side, side).

    Args:
        truth: positions and velocities, (times, n, 3) each.
        step: time between them.
        predicted: the same of the network.
        predicted_step: time between those.
    """
    truth, predicted = ([(x - x.mean(1, keepdim=True))[..., :2] for x in states] for states in (truth, predicted))
    half_width = 1.1 * truth[0].abs().max()
    curves = (smooth(x, step * v) for (x, v), step in ((truth, step), (predicted, predicted_step)))
    blue, orange = (tracks(curve / half_width, EXAMPLE_SIDE) for curve in curves)
    colours = torch.tensor([[0.1, 0.5, 1.0], [1.0, 0.5, 0.1]])
    return torch.einsum("khw,kc->chw", torch.stack([blue, orange]), colours).clamp(0, 1)


def pooled(tensors: list[Tensor]) -> Tensor:
    """All numbers of tensors of several shapes."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def extent(tensors: list[Tensor]) -> Tensor:
    """Least and largest number, shape (2,)."""
    return torch.stack(pooled(tensors).aminmax())


def distances(position: Tensor) -> Tensor:
    """Least and largest distance of two stars of systems (systems, n, 3), shape (2,)."""
    n = position.shape[1]
    pairs = torch.triu_indices(n, n, 1)
    ranges = [
        extent([torch.cdist(some, some, compute_mode="donot_use_mm_for_euclid_dist")[:, pairs[0], pairs[1]]])
        for some in position.split(max(1, MOST_PAIRS // n**2))
    ]
    return extent(ranges)


def speeds(velocity: Tensor) -> Tensor:
    """Speeds of stars (systems, n, 3) relative to the mean of their system, (systems, n)."""
    return (velocity - velocity.mean(1, keepdim=True)).norm(dim=-1)
