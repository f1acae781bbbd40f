"""The next state of N stars, by a spectral graph network with a learned force law."""

from typing import Any

import torch
from torch import Tensor

from lit_modules.base import Batch, LitBase
from lit_modules.networks.graph.nbody import NBodyNetwork
from lit_modules.networks.graph.settings import NBodySettings
from pipeline.errors import InputError


class LitGNN(LitBase):
    """Learns to advance stars by one output step, or by several in a row.

    Batches hold ``position`` and ``velocity`` (B, steps + 1, n, 3), ``time`` (B, steps + 1) and, where
    stars differ, ``mass`` or ``charge`` (B, n). With several steps the network is fed its own
    predictions, which no gradient passes (the pushforward of Brandstetter et al. 2022, arXiv
    2202.03376, sec. 3.1). Errors count in units of a star's typical motion in a step.
    """

    Settings = NBodySettings
    settings: NBodySettings
    motion: Tensor

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = NBodyNetwork(self.settings)
        self.register_buffer("motion", torch.ones(()))

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
        tensors = data.splits["train"]
        position, velocity, attribute = tensors["position"], tensors["velocity"], self.attribute(tensors)
        self.net.size = (position - position.mean(2, keepdim=True)).square().mean().sqrt()
        self.net.time = (tensors["time"][:, 1] - tensors["time"][:, 0]).mean()
        self.motion = velocity.square().mean().sqrt() * self.net.time
        if attribute is not None:
            self.net.attribute_unit = attribute.square().mean().sqrt()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        attribute = self.attribute(batch)
        x, v = batch["position"][:, 0], batch["velocity"][:, 0]
        position_errors, velocity_errors = [], []
        for step in range(1, batch["position"].shape[1]):
            x, v = self.net(x.detach(), v.detach(), attribute)
            position_errors.append((x - batch["position"][:, step]).square().mean())
            velocity_errors.append((v - batch["velocity"][:, step]).square().mean())
        position, velocity = torch.stack(position_errors).mean(), torch.stack(velocity_errors).mean()
        weighted = position + self.settings.velocity_weight * velocity * self.net.time**2
        return {"loss": weighted / self.motion**2, "position_mse": position, "velocity_mse": velocity}
