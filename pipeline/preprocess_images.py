"""Resizes one set of pictures to grey squares and splits it: reads data/raw/<set>.

Writes data/images/<set>-<size>/<label>/*.png, 8-bit, and index.csv (file, label, group, split).
"""

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError, run
from pipeline.inputs.pictures import grey_square, read_picture
from pipeline.outputs import atomic_folder
from pipeline.progress import track
from pipeline.settings.images import Images
from pipeline.settings.load import load_params


def main(argv: Sequence[str] | None = None) -> None:
    """Preprocess the named set at the named size."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.preprocess_images", description=__doc__)
    parser.add_argument("set_and_size", type=_set_and_size, metavar="<set>-<size>", help="such as lungs-50")
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    name, size = args.set_and_size
    preprocess(name, size, load_params(args.params).images)


def _set_and_size(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(lungs|globular_clusters)-([1-9][0-9]*)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not <set>-<pixels>, such as lungs-50 or globular_clusters-255")
    return match[1], int(match[2])


def preprocess(name: str, size: int, images: Images) -> None:
    """Resize every picture of data/raw/<name> and give each its split.

    Raises:
        InputError: the raw pictures are missing or broken.
    """
    from PIL import Image

    raw = Path("data/raw") / name
    try:
        with (raw / "index.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise InputError(
            f"{raw}/index.csv: cannot be read; `python -m pipeline.import_images {name}` makes it"
        ) from error
    groups = {row["group"]: row["label"] for row in rows}
    splits = split_groups(groups, images.val_fraction, images.test_fraction, images.seed)
    with atomic_folder(Path("data/images") / f"{name}-{size}") as folder:
        for row in track(rows, f"resizing {name}", len(rows)):
            path = folder / row["file"]
            path.parent.mkdir(exist_ok=True)
            picture = read_picture((raw / row["file"]).read_bytes(), str(raw / row["file"]))
            Image.fromarray(grey_square(picture, size)[0].numpy()).save(path)
        with (folder / "index.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("file", "label", "group", "split"))
            writer.writerows((row["file"], row["label"], row["group"], splits[row["group"]]) for row in rows)


def split_groups(groups: dict[str, str], val_fraction: float, test_fraction: float, seed: int) -> dict[str, str]:
    """Give each group to train, val or test, at random within its label.

    Labels of less than three groups are split together. Of three or more at least one goes to each split
    (whose fraction is not zero).

    Args:
        groups: group to label.
        val_fraction: of the groups.
        test_fraction: of the groups.
        seed: of the draw.

    Raises:
        InputError: the fractions leave nothing to train on.
    """
    import numpy as np

    labels = list(groups.values())
    strata = defaultdict(list)
    for group, label in sorted(groups.items()):
        strata[label if labels.count(label) >= 3 else ""].append(group)
    splits: dict[str, str] = {}
    for k, (label, members) in enumerate(sorted(strata.items())):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k,)))
        n_val, n_test = (max(round(f * len(members)), int(f > 0)) for f in (val_fraction, test_fraction))
        if n_val + n_test >= len(members):
            raise InputError(
                f"{len(members)} pictures or patients of {label or 'the rare labels'} are too few for "
                f"images.val_fraction {val_fraction} and images.test_fraction {test_fraction}; "
                "add pictures or lower the fractions"
            )
        names = ["val"] * n_val + ["test"] * n_test + ["train"] * (len(members) - n_val - n_test)
        splits.update(zip(rng.permutation(members).tolist(), names, strict=True))
    return splits


if __name__ == "__main__":
    run(main)
