"""What this project generated, on its way to where trainings read it: a hard link, and no second copy on disk."""

import os
import shutil
from pathlib import Path

GENERATED = Path("data/synthetic")


def is_generated(path: Path) -> bool:
    """Whether a path, absolute, relative or through links, lies in the folder of what this project generates."""
    return GENERATED.resolve() in path.resolve().parents


def link_or_copy(source: Path, target: Path) -> None:
    """Link a generated file; copy a person's, for DVC makes what it keeps read-only."""
    if is_generated(source):
        try:
            os.link(source, target)
            return
        except OSError:  # another file system, or one without links
            pass
    shutil.copyfile(source, target)
