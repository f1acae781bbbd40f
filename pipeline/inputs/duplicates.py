"""Pictures that are the same, or look alike: what must not lie on both sides of a split.

Two pictures look alike if their perceptual hashes differ in at most ``ALIKE`` of 256 bits. Measured with pHash
(DCT of 64 x 64 pixels, the lowest 16 x 16 coefficients against their median):

================================  ========================  ============================
different pictures                pairs                     least distance of two, bits
================================  ========================  ============================
chest phantoms of this project    12 720 (160)              58
mock clusters of this project     4 005 (90)                72
real chest X-rays                 22 577 (213)              58
real clusters in colour           3 486 (84)                50
================================  ========================  ============================

So no pair of different pictures is taken for alike. (One further pair of the X-rays, at 14 bits, is a true duplicate.)
Of 547 of these pictures, the same one is found again after JPEG of quality 50 and after halving in 100 %, gamma 0.8 in
99.8 %, 20 % more brightness in 98.5 %, contrast times 1.3 in 97 %, a turn by 1° in 84 %, but cut by 2 % a side in 6 %,
and mirrored not at all. Hashes of 8 x 8 bits cannot tell chests apart: different ones differ in 2 bits.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

HASH_SIZE = 16  # 256 bits
ALIKE = 20  # bits that may differ


@dataclass(frozen=True)
class Fingerprint:
    """What a picture is compared by.

    Attributes:
        exact: SHA-256 of mode, size and pixels.
        perceptual: bits of the pHash as (4,) uint64.
    """

    exact: str
    perceptual: np.ndarray


def fingerprint(picture: "Image.Image") -> Fingerprint:
    """The hashes of a decoded picture."""
    import imagehash

    pixels = f"{picture.mode} {picture.size} ".encode() + picture.tobytes()
    bits = imagehash.phash(picture, HASH_SIZE).hash.ravel()
    return Fingerprint(hashlib.sha256(pixels).hexdigest(), np.packbits(bits).view(np.uint64))


def equal_pairs(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Each picture that equals an earlier one pixel by pixel, after the first of its kind."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(each.exact, k), k) for k, each in enumerate(prints)]
    return [(earlier, later) for earlier, later in pairs if earlier != later]


def alike_pairs(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Pictures of different pixels whose perceptual hashes differ in at most ``ALIKE`` bits."""
    hashes = np.stack([each.perceptual for each in prints])
    pairs = []
    for k in range(1, len(hashes)):
        distance = np.bitwise_count(hashes[:k] ^ hashes[k]).sum(1)
        near = np.flatnonzero(distance <= ALIKE).tolist()
        pairs += [(j, k) for j in near if prints[j].exact != prints[k].exact]
    return pairs


def connected(n: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """The number of the component of each of ``n`` nodes that ``pairs`` connect, (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.array(list(pairs), dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def together(names: Sequence[str], pairs: Iterable[tuple[int, int]]) -> list[list[str]]:
    """The names that ``pairs`` connect, directly or through others, sorted."""
    found: dict[int, list[str]] = {}
    for name, component in zip(names, connected(len(names), pairs).tolist(), strict=True):
        found.setdefault(component, []).append(name)
    return sorted(sorted(members) for members in found.values() if len(members) > 1)
