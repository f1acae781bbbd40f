"""Checks and copies one set of pictures: reads ``images.<set>.source``, a folder, .zip or manifest .csv.

Writes data/raw/<set>/<label>/*.png and data/raw/<set>/index.csv (file, label, group).
"""

import argparse
import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError, run
from pipeline.inputs.picture_sources import Entry, read_source
from pipeline.inputs.pictures import SUFFIXES, read_picture
from pipeline.outputs import atomic_folder
from pipeline.progress import track
from pipeline.settings.load import load_params

SETS = ("lungs", "globular_clusters")


def main(argv: Sequence[str] | None = None) -> None:
    """Import the named set from the source that params.yaml gives."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.import_images", description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    source = Path(getattr(load_params(args.params).images, args.set).source)
    import_set(args.set, source, scratch=Path("runs/import_images") / args.set)


def import_set(name: str, source: Path, scratch: Path) -> None:
    """Check every picture of ``source``, then let data/raw/<name> appear whole.

    Raises:
        InputError: the source or one of its pictures cannot be used.
    """
    shutil.rmtree(scratch / "pictures", ignore_errors=True)
    entries = read_source(name, source, scratch / "downloads")
    shown = track(entries, f"importing {name}", None)
    rows = [write_picture(entry, scratch / "pictures", same_patient=name == "lungs") for entry in shown]
    if not rows:
        raise InputError(
            f"{source}: no picture in it ({', '.join(SUFFIXES)}); set images.{name}.source to a filled one"
        )
    with atomic_folder(Path("data/raw") / name) as folder:
        shutil.copytree(scratch / "pictures", folder, dirs_exist_ok=True)
        with (folder / "index.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([("file", "label", "group"), *sorted(rows)])
    shutil.rmtree(scratch)


def write_picture(entry: Entry, folder: Path, *, same_patient: bool) -> tuple[str, str, str]:
    """Decode an entry, save it as PNG and return its row of the index.

    The group, of which no part may be trained on while another is held out, is label/patient. Without a
    patient it is the picture itself; with ``same_patient`` a last letter a or b after a digit marks
    further pictures of one (00003a, 00003b).
    """
    for part in (entry.label, entry.stem):
        if not part or part.startswith(".") or re.search(r"[/\\\0]", part):
            raise InputError(f"{entry.name}: {part!r} is no name for a folder or file; rename it")
    path = folder / entry.label / f"{entry.stem}.png"
    if path.exists():
        raise InputError(f"{entry.name}: a second picture called {entry.label}/{entry.stem}; rename one of them")
    path.parent.mkdir(parents=True, exist_ok=True)
    read_picture(entry.content, entry.name).save(path)
    stem = re.sub(r"(?<=\d)[ab]$", "", entry.stem) if same_patient else entry.stem
    return f"{entry.label}/{path.name}", entry.label, f"{entry.label}/{entry.patient or stem}"


if __name__ == "__main__":
    run(main)
