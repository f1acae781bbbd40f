"""Sparse codes: which entries are kept, and what a penalty asks of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_modules.networks.autoencoder.settings import AutoencoderSettings

NOTICEABLE = 0.01  # of the largest entry of a picture's code


def sparse(code: Tensor, settings: AutoencoderSettings) -> Tensor:
    """The code (n, d) as the decoder sees it.

    top_k: that of the k-sparse autoencoder (Makhzani & Frey 2014, arXiv:1312.5663, algorithm 1), but for keeping
    the entries of largest magnitude where the paper keeps the largest: a coefficient of a linear path has either sign.

    l1: sign(c) max(|c| - λ, 0), with λ the sparsity. Where decoder and encoder are the same orthonormal axes W, this
    is the minimum of ½|x - Wᵀs|² + λ|s|₁ over s (Daubechies, Defrise & De Mol 2004, CPAM 57, 1413, eq. 2.3).

    kl: a c, with a = c²/(1 + c²) the entry's activity, see :func:`penalty`. It is the gain of a Wiener filter for noise
    of unit variance, so that entries of little activity are small beside the others, whatever the decoder's scale.
    """
    match settings.code:
        case "top_k":
            kept = code.abs().topk(settings.active_units, dim=1).indices
            return torch.zeros_like(code).scatter(1, kept, code.gather(1, kept))
        case "l1":
            return F.softshrink(code, settings.sparsity)
        case "kl":
            return code - code * idle(code)
    return code


def idle(code: Tensor) -> Tensor:
    """1 - a of each entry, with a = c²/(1 + c²) its activity."""
    return 1 / (1 + code.square())


def penalty(code: Tensor, settings: AutoencoderSettings) -> Tensor:
    """What ``l1`` and ``kl`` add to half the squared error of a picture, before the weight λ, a scalar.

    l1: the mean over the pictures of |s|₁, with s what :func:`sparse` makes of the code c, (n, d).

    kl: Σ_j ρ log(ρ/ρ̂_j) + (1 - ρ) log((1 - ρ)/(1 - ρ̂_j)), with ρ the target and ρ̂_j the mean activity of an entry
    over the pictures of a process (Ng 2011, CS294A notes "Sparse autoencoder", section 3). The activity of a
    coefficient of either sign is a = c²/(1 + c²), where the notes have a logistic unit.
    """
    if settings.code == "l1":
        return sparse(code, settings).abs().sum(dim=1).mean()
    resting = idle(code)
    rest = resting.mean(dim=0)
    activity = (1 - resting).mean(dim=0).clamp(min=1e-12)  # an entry may be zero for every picture
    target = torch.full_like(activity, settings.target)
    active = F.kl_div(activity.log(), target, reduction="sum")
    return active + F.kl_div(rest.log(), 1 - target, reduction="sum")


def active_share(code: Tensor) -> Tensor:
    """Share of the entries of codes (n, d) larger than a hundredth of the largest of their picture, a scalar."""
    sizes = code.abs()
    return (sizes > NOTICEABLE * sizes.amax(dim=1, keepdim=True)).float().mean()
