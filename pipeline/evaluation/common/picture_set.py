"""What the report shows of one set of pictures: a contact sheet, counts, files left out, duplicates, credits."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.evaluation.common.gallery import IN_A_ROW, evenly, read_index, thumbnails
from pipeline.evaluation.common.panels import mosaic

SPLITS = ("train", "val", "test")
SHOWN = 2 * IN_A_ROW  # pictures of a label
LABELS = 8  # that are shown; the others are counted
NAMED = 10  # files of one kind


def picture_set(raw: Path, grey: Path, imported: dict[str, Any], preprocessed: dict[str, Any]) -> dict[str, Any]:
    """One set for the page.

    Args:
        raw: folder with ``index.csv``, such as data/raw/lungs.
        grey: the same after preprocessing, such as data/images/lungs-50.
        imported: what ``import.json`` of the first says.
        preprocessed: what ``preprocess.json`` of the second says.

    Returns:
        ``name``; ``source``; ``drawn``, whether by this project; ``sheets``, a caption and a picture for each label;
        ``counts``, a table; ``lists``, what was left out or found to be the same, each with a heading; ``credits``;
        ``notes``.

    Raises:
        InputError: an index is missing.
    """
    rows = read_index(grey)
    frequent = [label for label, _ in Counter(sorted(row["label"] for row in rows)).most_common(LABELS)]
    files = {label: [raw / row["file"] for row in rows if row["label"] == label] for label in sorted(frequent)}
    return {
        "name": raw.name.replace("_", " "),
        "source": imported["source"],
        "drawn": imported["source"].startswith("data/synthetic/"),
        "sheets": [(caption(label, len(of_label)), contact_sheet(of_label)) for label, of_label in files.items()],
        "counts": counts(rows, list(files)),
        "lists": [entry for entry in left_out(imported, preprocessed) if entry["count"]],
        "credits": imported["credits"],
        "notes": imported["warnings"],
    }


def caption(label: str, n: int) -> str:
    """How many pictures a label has, and how many of them are shown."""
    shown = min(n, SHOWN)
    return f"{label}: {n} picture{'s' * (n != 1)}" + (f", {shown} shown" if shown < n else "")


def contact_sheet(files: Sequence[Path]) -> Image.Image:
    """Some of the pictures as thumbnails in rows, each whole on black."""
    small = thumbnails(evenly(files, SHOWN))
    return Image.fromarray(mosaic(small, min(IN_A_ROW, len(small)), gap=2, fill=255))


def counts(rows: Sequence[dict[str, str]], shown: Sequence[str]) -> dict[str, Any]:
    """A table: label, pictures of each split, all pictures, and the groups that are never parted."""
    kinds = [(label, [row for row in rows if row["label"] == label]) for label in shown]
    others = [row for row in rows if row["label"] not in shown]
    if others:
        kinds.append((f"{len({row['label'] for row in others})} other labels", others))
    if len(kinds) > 1:
        kinds.append(("all", list(rows)))
    return {
        "corner": "pictures",
        "columns": ["all", *SPLITS, "groups"],
        "rows": [(label, count(members)) for label, members in kinds],
    }


def count(rows: Sequence[dict[str, str]]) -> list[str]:
    """Pictures of each split and of all, and groups."""
    splits = Counter(row["split"] for row in rows)
    numbers = [len(rows), *(splits[split] for split in SPLITS), len({row["group"] for row in rows})]
    return [str(number) for number in numbers]


def left_out(imported: dict[str, Any], preprocessed: dict[str, Any]) -> list[dict[str, Any]]:
    """Files that the import skipped, and sets of pictures that are the same or look alike."""
    skipped = [f"{entry['file']}: {entry['reason']}" for entry in imported["skipped"]]
    equal, alike = ([", ".join(files) for files in preprocessed[key]] for key in ("duplicates", "near_duplicates"))
    return [
        listed("Files that were skipped", skipped),
        listed("Pictures that are the same, on one side of the split", equal),
        listed("Pictures that look alike, on one side of the split", alike),
    ]


def listed(heading: str, lines: Sequence[str]) -> dict[str, Any]:
    """The first lines of a list, with the number of all."""
    return {"heading": heading, "count": len(lines), "lines": list(lines[:NAMED]), "more": len(lines) - NAMED}
