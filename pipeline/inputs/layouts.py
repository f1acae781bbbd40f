"""How people lay out pictures in folders: which files are pictures, which folder is the label, who is one patient."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import InputError
from pipeline.inputs.archives import File
from pipeline.inputs.dicom import is_dicom
from pipeline.inputs.pictures import SUFFIXES

SYSTEM_FILES = ("__macosx", "thumbs.db", "desktop.ini", "dicomdir")
NO_LABELS = {"images", "image", "imgs", "train", "training", "val", "valid", "validation", "test", "testing"}


@dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why."""

    file: str
    reason: str


def sort_out(files: Iterable[File]) -> tuple[list[File], list[File], list[Skipped]]:
    """Pictures, tables, and all that is neither."""
    pictures: list[File] = []
    tables: list[File] = []
    skipped: dict[str, str] = {}
    for file in files:
        path, suffix = file.path, file.path.suffix.lower()
        if hidden := _hidden(path):
            skipped[hidden] = "hidden or of the operating system"
        elif any(part.lower().endswith(("mask", "masks")) for part in path.parent.parts):
            skipped[str(path)] = "a mask"
        elif suffix in SUFFIXES or (_may_be_dicom(suffix) and is_dicom(file.head(132))):
            pictures.append(file)
        elif suffix == ".csv":
            tables.append(file)
        else:
            skipped[str(path)] = f"a kind that is not read ({suffix or 'no suffix'})"
    return pictures, tables, [Skipped(*item) for item in skipped.items()]


def _hidden(path: PurePosixPath) -> str:
    """As much of a path as leads to its first hidden part; empty where there is none."""
    for k, part in enumerate(path.parts, 1):
        if part.startswith(".") or part.lower() in SYSTEM_FILES:
            return "/".join(path.parts[:k])
    return ""


def _may_be_dicom(suffix: str) -> bool:
    return suffix in ("", ".ima") or suffix[1:].isdigit()  # scanners name files by numbers with dots


def stem_of(path: PurePosixPath) -> str:
    """A picture's name without its suffix; the numbers of a scanner are no suffix."""
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def patient_stem(stem: str) -> str:
    """The name of an X-ray without the letter that tells pictures of one patient apart: 00003a, 00003b.

    In the COVID-19 image data collection (Cohen et al. 2020, arXiv 2003.11597) auntminnie-a to -d are one man.
    """
    return re.sub(r"(?<=\d)[a-z]$|(?<=auntminnie-)[a-d]-", "", stem)


def folder_labels(name: str, paths: Sequence[PurePosixPath], *, archive: bool) -> list[tuple[str, str]]:
    """Label and patient of each picture, by its folders; the patient is empty where no folder names one.

    The label is the first folder that is not common to all pictures, but for ``images``, ``train`` and
    the like; a folder below it is the patient. Where no folder is left it is the name of the set.

    Args:
        name: of the set.
        paths: of all its pictures, inside the source.
        archive: the source is one, so a folder around all of its pictures is no label.

    Raises:
        InputError: one folder lies below two labels: either could be the label.
    """
    folders = [tuple(part for part in path.parent.parts if part.lower() not in NO_LABELS) for path in paths]
    common = _shared_parts(folders)
    if not archive and common and max(map(len, folders)) == common:
        common -= 1
    told = [folder[common:] for folder in folders]
    _check_depth(paths, told)
    return [(folder[0] if folder else name, folder[1] if len(folder) > 1 else "") for folder in told]


def unique_stems(labels: Sequence[str], paths: Sequence[PurePosixPath]) -> list[str]:
    """Names of pictures below their labels: their own, with their folders where a label has the name twice."""
    stems = [stem_of(path) for path in paths]
    pairs = Counter(zip(labels, stems, strict=True))
    shared = _shared_parts([path.parent.parts for path in paths])
    unique = []
    for label, path, stem in zip(labels, paths, stems, strict=True):
        apart = [part for part in path.parent.parts[shared:] if part != label]
        unique.append(stem if pairs[label, stem] == 1 else "-".join([*apart, stem]))
    return unique


def _shared_parts(folders: Sequence[tuple[str, ...]]) -> int:
    """How many first parts all paths have in common."""
    levels = enumerate(zip(*folders, strict=False))
    return next((k for k, parts in levels if len(set(parts)) > 1), min(map(len, folders), default=0))


def _check_depth(paths: Sequence[PurePosixPath], told: Sequence[tuple[str, ...]]) -> None:
    above = defaultdict(set)
    for path, folder in zip(paths, told, strict=True):
        if len(folder) > 1:
            above[folder[1]].add(folder[0])
            if len(above[folder[1]]) > 1:
                raise InputError(
                    f"{path}: either {folder[0]} or {folder[1]} may be its label; "
                    "keep one folder a label, or add a CSV with the columns file,label"
                )
