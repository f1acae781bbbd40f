"""Which stars of a field belong to its cluster, by a spectral graph network."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lit_modules.base import Batch, LitBase
from lit_modules.examples import splat, thick, tiles
from lit_modules.networks.spectral.network import SpectralNetwork
from lit_modules.networks.spectral.settings import SpectralSettings
from pipeline.errors import InputError

N_EXAMPLES, EXAMPLE_SIDE = 4, 120  # pictures in a row, and pixels of a side of each
DARK = 0.2  # a star that is no member
SIGNAL = ("V below the limit of the field", "colour", "spacing")  # its channels
LEAST = 1e-6  # standard deviation of a channel, in its units


class LitSpectral(LitBase):
    """Learns the probability that a star is a member of the cluster.

    Batches hold ``signal`` (B, n, channels), ``eigenvalues`` (B, n) and ``basis`` (B, n, n) of the graph of each field,
    and ``member`` (B, n), 1 or 0.
    """

    Settings = SpectralSettings
    settings: SpectralSettings

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.net = SpectralNetwork(self.settings)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of membership (B, n)."""
        return self.net(batch["signal"], batch["eigenvalues"], batch["basis"])

    def probability(self, batch: Batch) -> Tensor:
        """Probability of membership (B, n)."""
        return self(batch).sigmoid()

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return self.probability(batch)

    def fit_statistics(self, data: Any) -> None:
        """Take the scales of the signal and the reach of the filters from the training fields.

        Raises:
            InputError: a filter has more weights than a graph has distinct eigenvalues, a free one not as many as there
                are stars, or a channel of the signal is one number for all stars.
        """
        train = data.splits["train"]
        self._check(data, train["eigenvalues"].shape[1])
        scale, mean = torch.std_mean(train["signal"].flatten(0, 1).double(), 0)
        for name, deviation in zip(SIGNAL, scale, strict=True):
            if deviation < LEAST:
                raise InputError(f"{data.file}: {name} is the same for all stars of the training; it tells nothing")
        self.net.mean, self.net.scale = mean.float(), scale.float()
        self.net.highest = train["eigenvalues"].max()

    def _check(self, data: Any, n: int) -> None:
        wanted, found, free = self.settings.coefficients, data.distinct_eigenvalues, self.settings.filter == "free"
        if free and found < n:
            raise InputError(
                f"{data.file}: two eigenvalues of the graph of field {data.fewest} are equal, a free filter cannot "
                "tell them apart; take another spectral.model.filter, or remove that field"
            )
        if free and wanted != n:
            raise InputError(
                f"spectral.model.coefficients is {wanted}, but a free filter has a weight for each of the {n} "
                f"eigenvalues; make it {n}"
            )
        if wanted > found:
            raise InputError(
                f"spectral.model.coefficients is {wanted}, but a graph of the data has {found} distinct eigenvalues; "
                f"take at most {found}"
            )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        logits, member = self(batch), batch["member"]
        wrong = (logits.detach() > 0) != (member > 0)
        return {"loss": binary_cross_entropy_with_logits(logits, member), "wrong_share": wrong.float().mean()}

    def example_images(self, batch: Batch) -> dict[str, Tensor]:
        """A few fields, their members bright, above the same fields, each star as bright as it is probably a member."""
        fields = {name: tensor[:N_EXAMPLES] for name, tensor in batch.items()}
        rows = (starry(fields["position"], brightness) for brightness in (fields["member"], self.probability(fields)))
        return {"members_above_probabilities": tiles(*rows)}


def starry(position: Tensor, brightness: Tensor) -> Tensor:
    """Stars at places (B, n, 2) about the origin, of brightness (B, n) from 0 to 1, (B, 1, side, side)."""
    places = position / (1.01 * position.abs().amax((1, 2), keepdim=True))
    pairs = zip(places, DARK + (1 - DARK) * brightness, strict=True)
    return torch.stack([thick(splat(place, EXAMPLE_SIDE, light))[None] for place, light in pairs])
