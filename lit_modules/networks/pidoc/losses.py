"""Losses of Gaussians."""

from torch import Tensor

from lit_modules.networks.maps.gaussian import Gaussian


def beta_nll(predicted: Gaussian, target: Tensor, beta: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of the target, without its constant ln √2π, weighted by σ^(2β).

    L = ⌊σ^(2β)⌋ (ln σ + (x - μ)² / 2σ²), with no gradient through the weight ⌊.⌋ (Seitzer et al. 2022, arXiv
    2203.09168, eq. 5). β = 0 is the plain likelihood, which neglects what it finds hard; β = 1 has the gradients of
    the squared error for μ.
    """
    weight = predicted.sigma.detach() ** (2 * beta)
    nll = predicted.sigma.log() + 0.5 * predicted.z(target) ** 2
    return (weight * nll).mean()
