"""Checks and copies one set of pictures: reads ``images.<set>.source``, a folder, archive or table.

Writes data/raw/<set>/<label>/*.png, 8-bit, index.csv (file, label, group) and import.json: what was read and skipped.
"""

import argparse
import csv
import hashlib
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import InputError, run, warn
from pipeline.inputs.generated import is_generated
from pipeline.inputs.layouts import patient_stem
from pipeline.inputs.picture_sources import Entry, Source, open_source
from pipeline.inputs.pictures import SHALLOW, DeepPicture, decode
from pipeline.outputs import atomic_folder
from pipeline.progress import track
from pipeline.settings.images import ImageSource
from pipeline.settings.load import load_params

SETS = ("lungs", "globular_clusters")
FEW = 5  # names in a message
DARK = 32  # a picture whose brightest level is below is hardly to be seen


def main(argv: Sequence[str] | None = None) -> None:
    """Import the named set from the source that params.yaml gives."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.import_images", description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--params", default="params.yaml", help="parameter file (default: %(default)s)")
    args = parser.parse_args(argv)
    settings: ImageSource = getattr(load_params(args.params).images, args.set)
    import_set(args.set, Path(settings.source), settings.patient, scratch=Path("runs/import_images") / args.set)


@dataclass(frozen=True)
class Look:
    """What of a picture's pixels tells whether it shows anything."""

    low: int
    high: int
    digest: bytes


@dataclass(frozen=True)
class Written:
    """A picture in the scratch folder."""

    file: str
    label: str
    group: str
    look: Look | None
    """None until the set's white is known: the file has 16 bits."""
    white: int
    """The picture's own, of 16 bits."""
    white_is_zero: bool


def import_set(name: str, source: Path, patient: str | None, scratch: Path) -> None:
    """Check every picture of ``source``, then let data/raw/<name> appear whole.

    Args:
        name: of the set.
        source: folder, archive, table of metadata or manifest.
        patient: regular expression of the patient in a file's name; None: known patterns.
        scratch: folder of unfinished work.

    Raises:
        InputError: the source or one of its pictures cannot be used.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    credits: Counter[tuple[str, str]] = Counter()
    with open_source(name, source, patient) as found:
        written = []
        for entry in track(found.entries, f"importing {name}", found.total):
            written.append(write_picture(entry, scratch / "pictures", same_patient=name == "lungs"))
            credits[entry.credit, entry.licence] += 1
    if not written:
        reasons = " or ".join(sorted({skipped.reason for skipped in found.skipped}))
        raise InputError(f"{source}: none of its pictures can be used ({reasons}); mend it")
    white = max((picture.white for picture in written), default=255)
    looks = {picture.file: picture.look or make_eight_bits(picture, scratch / "pictures", white) for picture in written}
    found.warnings += [*unlike_white(written, white), *unseen(source, looks)]
    with atomic_folder(Path("data/raw") / name) as folder:
        shutil.copytree(scratch / "pictures", folder, dirs_exist_ok=True)
        with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            rows = sorted((picture.file, picture.label, picture.group) for picture in written)
            writer.writerows([("file", "label", "group"), *rows])
        text = json.dumps(report(source, found, credits, white), indent=1, ensure_ascii=False)
        (folder / "import.json").write_text(f"{text}\n", encoding="utf-8")
    shutil.rmtree(scratch)
    tell(name, written, found)


def report(source: Path, found: Source, credits: Counter[tuple[str, str]], white: int) -> dict[str, object]:
    """What import.json holds, such as whether this project drew the pictures: no absolute path, no clock."""
    return {
        "source": source.name if source.is_absolute() else source.as_posix(),
        "drawn": is_generated(source),
        "pictures": credits.total(),
        "skipped": [asdict(skipped) for skipped in found.skipped],
        "credits": [
            {"credit": credit, "licence": licence, "files": files}
            for (credit, licence), files in sorted(credits.items())
            if credit or licence
        ],
        "white": white,
        "warnings": found.warnings,
    }


def write_picture(entry: Entry, folder: Path, *, same_patient: bool) -> Written:
    """Decode an entry and save it as PNG, of 8 bits where its white is known.

    The group, of which no part may be trained on while another is held out, is the patient. Without one it
    is label/picture; with ``same_patient`` a letter may mark further pictures of one.
    """
    for part in (entry.label, entry.stem):
        if not part or part.startswith(".") or re.search(r"[/\\\0]", part):
            raise InputError(f"{entry.name}: {part!r} is no name for a folder or file; rename it")
    path = folder / entry.label / f"{entry.stem}.png"
    if path.exists():
        raise InputError(f"{entry.name}: a second picture called {entry.label}/{entry.stem}; rename one of them")
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = patient_stem(entry.stem) if same_patient else entry.stem
    group = entry.patient or f"{entry.label}/{stem}"
    row = (f"{entry.label}/{path.name}", entry.label, group)
    picture = decode(entry.read(), entry.name)
    if isinstance(picture, DeepPicture):
        Image.fromarray(picture.levels).save(path, compress_level=1)
        return Written(*row, None, picture.white, picture.white_is_zero)
    return Written(*row, save(picture, path), 255, False)


def save(picture: Image.Image, path: Path) -> Look:
    """Save a picture of 8 bits."""
    picture.save(path)
    levels = np.asarray(picture)
    return Look(int(levels.min()), int(levels.max()), hashlib.sha256(picture.tobytes()).digest())


def make_eight_bits(picture: Written, folder: Path, white: int) -> Look:
    """Save a picture of 16 bits anew, with the white of its set."""
    path = folder / picture.file
    with Image.open(path) as image:
        deep = DeepPicture(np.asarray(image).astype(np.uint16), picture.white_is_zero)
    return save(deep.eight_bits(white), path)


def unlike_white(written: Sequence[Written], white: int) -> list[str]:
    """Warn of 16-bit pictures of far less depth than their set: another scanner, or a mark of full white."""
    shallow = [picture.file for picture in written if picture.look is None and picture.white < white // SHALLOW]
    if not shallow:
        return []
    remedy = "bring the pictures to one depth if they come from several scanners"
    return [f"{some(shallow)}: less than an eighth of the set's white, {white}; {remedy}"]


def unseen(source: Path, looks: dict[str, Look]) -> list[str]:
    """Warn of pictures on which there is nothing to be seen.

    Raises:
        InputError: there is none on which there is, or all are one.
    """
    values = list(looks.values())
    if all(look.low == look.high for look in values):
        what = "black" if all(look.high == 0 for look in values) else "of one level"
        raise InputError(f"{source}: all {len(looks)} pictures are {what}; give pictures that show something")
    if len(values) > 1 and len({look.digest for look in values}) == 1:
        raise InputError(f"{source}: all {len(looks)} pictures are equal; give different ones")
    flat = [file for file, look in looks.items() if look.low == look.high]
    dark = [file for file, look in looks.items() if look.low < look.high < DARK]
    warnings = {"of one level": flat, "nearly black": dark}
    return [f"{some(files)}: {what}" for what, files in warnings.items() if files]


def some(names: Sequence[str]) -> str:
    """The first few names, and how many there are."""
    shown = ", ".join(names[:FEW])
    return shown if len(names) <= FEW else f"{shown}, ... ({len(names)} files)"


def tell(name: str, written: Sequence[Written], found: Source) -> None:
    """Say on the terminal what was read and what was left out."""
    reasons = defaultdict(list)
    for skipped in found.skipped:
        reasons[skipped.reason].append(skipped.file)
    for reason, files in reasons.items():
        warn(f"{name}: left out, {reason}: {some(files)}")
    for warning in found.warnings:
        warn(f"{name}: {warning}")
    labels = Counter(picture.label for picture in written)
    print(
        f"{name}: {len(written)} pictures: {some([f'{label} {n}' for label, n in sorted(labels.items())])}", flush=True
    )


if __name__ == "__main__":
    run(main)
