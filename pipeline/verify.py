"""Checks DVC's cache after a crash of a disk: the name of each object is the MD5 of its content.

DVC trusts an object of the right name and links it again, whatever its bytes are now. `python -m pipeline.verify` names
the damaged objects and removes them and their links; the next `dvc repro` makes them anew, and `dvc pull` fetches them
where they were pushed.
"""

import argparse
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import InputError, readable, run
from pipeline.progress import track


def main(argv: Sequence[str] | None = None) -> None:
    """Check all objects, remove the damaged ones, and tell how many there were.

    Raises:
        InputError: this folder is in no DVC repository.
    """
    argparse.ArgumentParser(
        prog="python -m pipeline.verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    root, cache = _places()
    objects = sorted(cache.glob("??/[!.]*"))
    damaged = [path for path in track(objects, "objects of the cache", len(objects)) if not _is_whole(path)]
    for path in damaged:
        links = list(_links(path, root))
        print(f"damaged: {path}{''.join(f', {readable(link.relative_to(root))}' for link in links)}", flush=True)
        for name in (*links, path):
            name.unlink()
    remedy = "removed with their links; run dvc repro" if damaged else "all is well"
    print(f"{len(objects)} objects, {len(damaged)} damaged: {remedy}", flush=True)


def _places() -> tuple[Path, Path]:
    """The repository that the current folder is in, and its cache of objects."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return Path(repo.root_dir), Path(repo.cache.local.path)
    except NotDvcRepoError as error:
        raise InputError(f"{Path.cwd()}: in no DVC repository; run this in the project's folder") from error


def _is_whole(path: Path) -> bool:
    """Whether an object has the MD5 that its folder and name spell; of a folder it is that of its list of files."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == path.parent.name + path.name.removesuffix(".dir")


def _links(path: Path, root: Path) -> Iterator[Path]:
    """The files of the repository that are one with an object: hard links, and symbolic ones to it."""
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if file.exists() and file.samefile(path):
                yield file


if __name__ == "__main__":
    run(main)
