"""The complete graph of n stars, and its weighted Laplacian as an operator."""

import torch
from torch import Tensor


class Edges:
    """Pairs of stars, and L h = M⁻¹ Sᵀ diag(a) ∇ h for weights a of the pairs.

    Signals have the shape (n, channels, batch), so that ∇ (difference along a pair) and Sᵀ (sum over
    the pairs of a star) are one matrix product each for the whole batch. A symmetric weight acts on
    both ends of an unordered pair (S = ∇, L = D - A); otherwise pairs are ordered and a weight moves
    the receiver alone.

    Args:
        n: number of stars.
        undirected: whether a_ij = a_ji.
        like: a tensor of the dtype and device to use.
        mass: shape (n, batch): weights are forces, which masses divide; None: weights as they are.
    """

    def __init__(self, n: int, undirected: bool, like: Tensor, mass: Tensor | None = None) -> None:
        self.undirected = undirected
        pairs = torch.ones(n, n, device=like.device)
        self.receiver, self.sender = (pairs.triu(1) if undirected else pairs.fill_diagonal_(0)).nonzero(as_tuple=True)
        identity = torch.eye(n, dtype=like.dtype, device=like.device)
        self.gradient = identity[self.receiver] - identity[self.sender]
        self.scatter = (self.gradient if undirected else identity[self.receiver]).T
        self.root_mass = None if mass is None else mass.sqrt()

    def differences(self, signal: Tensor) -> Tensor:
        """∇ h, shape (pairs, channels, batch)."""
        return (self.gradient @ signal.flatten(1)).view(-1, *signal.shape[1:])

    def sums(self, signal: Tensor) -> Tensor:
        """h_i + h_j of each pair, shape (pairs, channels, batch)."""
        return (self.gradient.abs() @ signal.flatten(1)).view(-1, *signal.shape[1:])

    def gathered(self, messages: Tensor) -> Tensor:
        """Sum of the messages (pairs, channels, batch) to each star, shape (n, channels, batch)."""
        return (self.scatter.abs() @ messages.flatten(1)).view(-1, *messages.shape[1:])

    def divergence(self, flow: Tensor) -> Tensor:
        """M⁻¹ Sᵀ f of a flow (pairs, channels, batch), shape (n, channels, batch)."""
        total = (self.scatter @ flow.flatten(1)).view(-1, *flow.shape[1:])
        return total if self.root_mass is None else total / self.root_mass.square().unsqueeze(1)

    def laplacian(self, weights: Tensor, signal: Tensor) -> Tensor:
        """L h of weights (pairs, batch) and a signal (n, channels, batch)."""
        return self.divergence(weights.unsqueeze(1) * self.differences(signal))

    def matrices(self, weights: Tensor) -> Tensor:
        """The symmetric matrices M^(1/2) L M^(-1/2) of weights (pairs, batch), shape (batch, n, n)."""
        matrices = torch.einsum("ip,pb,pj->bij", self.scatter, weights, self.gradient)
        if self.root_mass is None:
            return matrices
        return matrices / (self.root_mass.unsqueeze(0) * self.root_mass.unsqueeze(1)).permute(2, 0, 1)

    def attribute_features(self, attribute: Tensor, charge: bool) -> list[Tensor]:
        """Of each pair, shape (pairs, batch): product and sum if symmetric, else both attributes in order.

        Symmetric charges have the product alone: the motion is the same with all signs turned.
        """
        ours, theirs = attribute[self.receiver], attribute[self.sender]
        if not self.undirected:
            return [ours, theirs]
        return [ours * theirs] if charge else [ours * theirs, ours + theirs]
