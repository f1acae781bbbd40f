"""Resizes one set of pictures to grey squares and splits it: reads data/raw/<set>.

Writes data/images/<set>-<size>/<label>/*.png, 8-bit, index.csv (file, label, group, split) and preprocess.json:
how the pictures were made square, their white, whether this project drew them, and which are the same or look alike.
"""

import argparse
import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, run, warn
from pipeline.inputs import duplicates
from pipeline.inputs.pictures import grey_square, read_picture
from pipeline.outputs import atomic_folder
from pipeline.progress import track
from pipeline.settings.images import Images
from pipeline.settings.load import load_params

NAMED = 5  # sets of duplicates in a warning


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

    Pictures that are the same or look alike belong to one group, whatever their labels.

    Raises:
        InputError: the raw pictures are missing, broken or too few to be split.
    """
    raw = Path("data/raw") / name
    rows, white, drawn = read_raw(raw)
    pad = getattr(images, name).square == "pad"
    with atomic_folder(Path("data/images") / f"{name}-{size}") as folder:
        prints = [resize(raw, folder, row["file"], size, pad=pad) for row in track(rows, f"resizing {name}", len(rows))]
        equal, alike = duplicates.equal_pairs(prints), duplicates.alike_pairs(prints)
        groups = join_groups([row["group"] for row in rows], [*equal, *alike])
        labels = most_frequent_labels(groups, [row["label"] for row in rows])
        splits = split_groups(labels, images.val_fraction, images.test_fraction, images.seed)
        write_index(
            folder, [(row["file"], row["label"], group, splits[group]) for row, group in zip(rows, groups, strict=True)]
        )
        files = [row["file"] for row in rows]
        found = {
            "duplicates": duplicates.together(files, equal),
            "near_duplicates": duplicates.together(files, alike),
        }
        write_json(folder / "preprocess.json", {"padded": pad, "white": white, "drawn": drawn, **found})
    for kind, sets in found.items():
        tell(f"{raw}: {kind.replace('_', ' ')}, kept on one side of the split", sets)


def resize(raw: Path, folder: Path, file: str, size: int, *, pad: bool) -> duplicates.Fingerprint:
    """Write one picture as a grey square, and return what the whole of it is compared by."""
    from PIL import Image

    picture = read_picture((raw / file).read_bytes(), str(raw / file))
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(grey_square(picture, size, pad=pad)[0].numpy()).save(path)
    return duplicates.fingerprint(picture)


def write_index(folder: Path, rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Write ``index.csv``: file, label, group, split."""
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("file", "label", "group", "split"), *rows])


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON for people to read."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def tell(what: str, sets: Sequence[Sequence[str]]) -> None:
    """Warn of sets of files, the first ones by name."""
    if sets:
        named = "; ".join(", ".join(files) for files in sets[:NAMED])
        warn(f"{what}: {named}" + (f"; and {len(sets) - NAMED} more sets" if len(sets) > NAMED else ""))


def read_raw(raw: Path) -> tuple[list[dict[str, str]], int, bool]:
    """The rows of the index of the imported pictures, the level that became white, and whether this project drew them.

    Raises:
        InputError: a file is missing or cut.
    """
    try:
        with (raw / "index.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        imported = json.loads((raw / "import.json").read_text("utf-8"))
        white, drawn = imported["white"], imported["drawn"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{raw}: index.csv or import.json is missing or cut; `python -m pipeline.import_images {raw.name}` mends it"
        ) from error
    return rows, white, drawn


def join_groups(groups: Sequence[str], pairs: Iterable[tuple[int, int]]) -> list[str]:
    """The group of each picture once ``pairs`` of pictures share one: the first by alphabet of those that join.

    Args:
        groups: of each picture.
        pairs: of pictures.
    """
    names = sorted(set(groups))
    number = {name: k for k, name in enumerate(names)}
    component = duplicates.connected(len(names), [(number[groups[i]], number[groups[j]]) for i, j in pairs])
    first: dict[int, str] = {}
    joined = {name: first.setdefault(k, name) for name, k in zip(names, component.tolist(), strict=True)}
    return [joined[group] for group in groups]


def most_frequent_labels(groups: Sequence[str], labels: Sequence[str]) -> dict[str, str]:
    """Each group and the label that most of its pictures have; of equally many, the first by alphabet."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, label in zip(groups, labels, strict=True):
        counts[group][label] += 1
    return {group: max(sorted(count), key=count.__getitem__) for group, count in counts.items()}


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

    labels = Counter(groups.values())
    strata = defaultdict(list)
    for group, label in sorted(groups.items()):
        strata[label if labels[label] >= 3 else ""].append(group)
    splits: dict[str, str] = {}
    for k, (_, members) in enumerate(sorted(strata.items())):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k,)))
        n_val, n_test = (max(round(f * len(members)), int(f > 0)) for f in (val_fraction, test_fraction))
        if n_val + n_test >= len(members):
            of = ", ".join(sorted({groups[group] for group in members})[:NAMED])
            raise InputError(
                f"{of}: {len(members)} pictures (those of one patient, or alike, count as one) are "
                f"too few for images.val_fraction {val_fraction} and images.test_fraction {test_fraction}; add pictures"
            )
        names = ["val"] * n_val + ["test"] * n_test + ["train"] * (len(members) - n_val - n_test)
        splits.update(zip(rng.permutation(members).tolist(), names, strict=True))
    return splits


if __name__ == "__main__":
    run(main)
