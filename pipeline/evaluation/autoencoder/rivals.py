"""Linear rivals of the autoencoder: the mean picture, principal components, and those of deformed copies."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from datamodules.images import ImagesDataModule
from lit_modules.autoencoder import LitAutoencoder
from lit_modules.networks.autoencoder.autoencoder import Autoencoder

Methods = dict[str, Callable[[Tensor], Tensor]]  # by name: pictures (n, 1, H, W) to what is redrawn of them


@dataclass(frozen=True)
class PrincipalAxes:
    """Mean (p,) and first principal axes (k, p) of pictures of p pixels, in double precision.

    Of all linear autoencoders with k numbers, that of these axes has the least squared error on the pictures (Eckart &
    Young 1936; Baldi & Hornik 1989, Neural Networks 2, 53): training one ends here.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def of(cls, images: Tensor, k: int) -> Self:
        """Those of pictures (n, 1, H, W); of at most n - 1 axes."""
        x = images.flatten(1).double().numpy()
        n, pixels = x.shape
        solver = "full" if n < pixels else "covariance_eigh"
        pca = PCA(min(k, n - 1, pixels), svd_solver=solver).fit(x)
        return cls(pca.mean_, pca.components_)

    def redraw(self, images: Tensor, k: int) -> Tensor:
        """Pictures (n, 1, H, W) from their first k coefficients."""
        code = (images.flatten(1).double().numpy() - self.mean) @ self.axes[:k].T
        return torch.from_numpy(self.mean + code @ self.axes[:k]).view_as(images)


def linear_rivals(model: LitAutoencoder, data: ImagesDataModule, components: list[int]) -> Methods:
    """Linear methods fitted to the training pictures, or to the deformed copies of them that the network starts from.

    None keeps more numbers of a picture than the network's code has: with as many as pixels, all copy perfectly.

    Args:
        model: whose deformations and whose code they have.
        data: with the training pictures.
        components: numbers of principal components beside those of the model's code; n pictures have n - 1, and what
            has more is left out.

    Returns:
        ``mean_picture``; ``pca_<k>``, ``pca_full_rank`` of at most as many pictures as the code has numbers, and
        ``pca_<k>_of_deformed``; and ``before_training``, see :func:`untrained`.
    """
    train = data.splits["train"]["image"]
    settings = model.settings
    width, rank = settings.widths[-1], len(train) - 1
    kept = settings.active_units if settings.code == "top_k" else width
    ks = sorted(k for k in {*components, kept, width} if k <= width)
    plain = PrincipalAxes.of(train, width)
    methods: Methods = {"mean_picture": partial(plain.redraw, k=0)}
    methods |= {f"pca_{k}": partial(plain.redraw, k=k) for k in ks if k <= rank}
    if rank <= width:
        methods["pca_full_rank"] = partial(plain.redraw, k=rank)
    if settings.copies:
        deformed = PrincipalAxes.of(model.deformed_copies(train), width)
        methods |= {f"pca_{k}_of_deformed": partial(deformed.redraw, k=k) for k in ks if k <= len(deformed.axes)}
    methods["before_training"] = untrained(model, data)
    return methods


def most_components(methods: Methods) -> str:
    """The name of the principal components of the training pictures, the most that there are."""
    return [who for who in methods if who.startswith("pca") and not who.endswith("deformed")][-1]


def untrained(model: LitAutoencoder, data: ImagesDataModule) -> Autoencoder:
    """The network as its training began: principal components, with the network's own code."""
    start = LitAutoencoder(**model.settings.model_dump())
    start.fit_statistics(data)
    return start.net
