"""φ: what two stars are to each other, the weight of their edge."""

import torch
from torch import Tensor, nn

from lit_modules.networks.graph.settings import NBodySettings

SCALES = (1e-4, 1e-3, 1e-2, 1e-1)  # squared, in units of the system's size: where a weight may level off
STEEPEST = (8.0, 5.0)  # weights of positions stay below e^8, of velocities below e^5: no guess throws the stars out


class PairWeights(nn.Module):
    """Edge weights of a wide range and either sign, a_ij = tanh(s) exp(m), with s and m from an MLP.

    What it sees does not change under rotation, reflection, translation or a common velocity: the
    distance, with ``velocities`` the radial velocity and the relative speed, the pair's attributes, and
    what the environments of its stars have gathered, to which it sends messages in turn.

    Args:
        settings: width of its two layers, and whether a weight may depend on velocities.
        attributes: number of attribute features of a pair.
        kinds: weights of a pair: for positions, and for velocities if those are filtered too.
    """

    scales: Tensor
    steepest: Tensor

    def __init__(self, settings: NBodySettings, attributes: int, kinds: int) -> None:
        super().__init__()
        self.register_buffer("scales", torch.tensor(SCALES).view(-1, 1, 1), persistent=False)
        self.register_buffer("steepest", torch.tensor(STEEPEST[:kinds]).view(-1, 1, 1), persistent=False)
        self.velocities, self.kinds, width = settings.velocities, kinds, settings.hidden
        inputs = len(SCALES) + 3 * settings.velocities + attributes + settings.environment
        last = nn.Linear(width, 2 * kinds + settings.environment)
        self.mlp = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)
        with torch.no_grad():  # all pairs alike and weak at first
            last.weight[: 2 * kinds].mul_(0.1)
            last.bias[: 2 * kinds].copy_(torch.tensor([1.0, -3.0]).repeat_interleave(kinds))

    def forward(self, x: Tensor, v: Tensor, seen: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Weights and messages of pairs.

        Args:
            x: differences of positions, shape (pairs, 3, batch).
            v: differences of velocities, shape (pairs, 3, batch).
            seen: attributes and environments, each (pairs, batch).

        Returns:
            Weights (kinds, pairs, batch) and messages (pairs, environment, batch).
        """
        r2 = x.square().sum(1)
        lengths = (r2 + self.scales).log() / 3
        features = []
        if self.velocities:
            radial = (x * v).sum(1) * (r2 + SCALES[0]).rsqrt()
            rate = radial * (r2 + SCALES[1]).rsqrt()
            features = [radial.asinh(), rate.asinh(), (v.square().sum(1) + 1e-2).log() / 3]
        answers = self._mlp(torch.cat([lengths, *(feature.unsqueeze(0) for feature in features + seen)]))
        sign, magnitude, messages = answers.tensor_split((self.kinds, 2 * self.kinds))
        bounded = self.steepest * (magnitude / self.steepest).tanh()
        return sign.tanh() * bounded.exp(), messages.movedim(0, 1)

    def _mlp(self, features: Tensor) -> Tensor:
        """The MLP of features (inputs, pairs, batch), which stay first: nothing is transposed in memory."""
        signal = features.flatten(1)
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                signal = torch.addmm(layer.bias.unsqueeze(1), layer.weight, signal)
            else:
                signal = layer(signal)
        return signal.unflatten(1, features.shape[1:])
