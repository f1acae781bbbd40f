"""The lungs' network on handwritten digits, 784-1000-500-250-30 and back, beside Hinton & Salakhutdinov (2006)."""

import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.lungs_pictures import chain
from benchmarks.mnist import read_mnist
from benchmarks.results import Row
from lit_modules.networks.autoencoder.autoencoder import Autoencoder
from lit_modules.networks.autoencoder.settings import AutoencoderSettings

SIDE, WIDTHS = 28, [1000, 500, 250, 30]
EPOCHS, BATCH, RATE, DECAY = 30, 256, 2e-3, 1e-4
WARM_UP = 0.15  # of the steps
TITLE = "MNIST 784-1000-500-250-30"


def mnist(quick: bool) -> list[Row]:
    """Squared error of a test picture, summed over its pixels, after the last epoch."""
    pictures, test = (part.view(-1, 1, SIDE, SIDE) for part in read_mnist(quick))
    start, epochs = time.process_time(), 1 if quick else EPOCHS
    torch.manual_seed(1)
    net = Autoencoder(dense(SIDE, WIDTHS))
    net.fit(pictures)
    components, shown = squared_error(net, test), squared_error(cut(net), test)
    train(net, pictures, epochs, BATCH, RATE, shifted)
    minutes = (time.process_time() - start) / 60
    found, seen = (squared_error(cut(net), part) for part in (test, pictures[: len(test)]))
    note = f"{epochs} epochs, shifts of a pixel, one seed, grey levels cut to [0, 1]; {seen:.2f} on pictures it learned"
    plain = f"30 principal components, not cut, as published; cut {shown:.2f}"
    return [
        Row(TITLE, found, "squared error", 3.0, 2.9, "lower", note),
        Row(f"{TITLE}: before training", components, "squared error", 13.87, None, "lower", plain),
        Row(f"{TITLE}: training", minutes, "CPU min", None, 90.0, "lower", "one thread"),
    ]


def cut(net: Autoencoder) -> Callable[[Tensor], Tensor]:
    """The network's pictures as a screen shows them: grey levels below 0 or above 1 are 0 and 1."""
    return lambda pictures: net(pictures).clamp(0, 1)


def dense(side: int, widths: list[int]) -> AutoencoderSettings:
    """The chain's settings, but for a code all of whose entries are used, of pictures of another size."""
    return AutoencoderSettings(**chain().model_dump() | {"side": side, "widths": widths, "code": "dense"})


def train(
    net: Autoencoder,
    pictures: Tensor,
    epochs: int,
    batch_size: int,
    rate: float,
    change: Callable[[Tensor], Tensor],
) -> None:
    """Least squares by AdamW with one cycle of its rate.

    Args:
        net: as fitted to the pictures.
        pictures: (n, 1, side, side), grey levels from 0 to 1.
        epochs: passes through the pictures.
        batch_size: pictures of a step.
        rate: the largest of the cycle.
        change: makes new pictures of those of a batch.
    """
    batches = -(-len(pictures) // batch_size)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, epochs * batches, pct_start=WARM_UP)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(pictures)).split(batch_size):
            batch = change(pictures[chosen])
            loss = shown_difference(net(batch), batch).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        error = float(loss.detach()) * batch[0].numel()
        print(f"lungs: epoch {epoch + 1} of {epochs}, last batch {error:.3g} a picture", file=sys.stderr, flush=True)


def shifted(pictures: Tensor) -> Tensor:
    """Each picture (n, 1, side, side) moved by -1, 0 or 1 pixel along each axis; zeros come in."""
    n, _, side, _ = pictures.shape
    down, right = torch.randint(0, 3, (2, n, 1)) + torch.arange(side)
    return F.pad(pictures, (1, 1, 1, 1))[torch.arange(n)[:, None, None], 0, down[:, :, None], right[:, None]][:, None]


def shown_difference(redrawn: Tensor, pictures: Tensor) -> Tensor:
    """Reconstruction less picture; 0 where one beyond black or white is shown as the right black or white."""
    right = (redrawn < 0) & (pictures == 0) | (redrawn > 1) & (pictures == 1)
    return (redrawn - pictures).masked_fill(right, 0.0)


@torch.no_grad()
def squared_error(redraw: Callable[[Tensor], Tensor], pictures: Tensor) -> float:
    """Of a picture (n, 1, side, side), summed over its pixels, mean of all."""
    total = sum(float((redraw(part) - part).square().sum()) for part in pictures.split(1000))
    return total / len(pictures)
