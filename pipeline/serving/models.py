"""The trained models behind the page: loaded while it is served already, then asked one question at a time."""

import gc
import json
import shutil
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from pipeline.errors import InputError, one_line, warn
from pipeline.predict import predict
from pipeline.prediction.answers import write
from pipeline.prediction.trained import Trained, load_models
from pipeline.prediction.weights_archive import MODELS_FOLDER
from pipeline.serving.answers import Part, answered
from pipeline.serving.groups import Group, groups
from pipeline.serving.options import options_for
from pipeline.serving.uploads import check_unpacked

FAILED = "this program failed on the file, which should not happen; the terminal tells how"


class Models:
    """Those of all groups. One thread loads and asks them, so that questions wait for one another.

    Attributes:
        suffixes: of all files that are taken.
        learned: what groups learned from, where that is known.
        trained: what has been loaded.
        missing: why a group could not be.
    """

    def __init__(self, weights: Path | None = None, device: str = "auto") -> None:
        """Look whether there are any; :meth:`load` takes longer.

        Args:
            weights: an archive of ``python -m pipeline.weights``; None: ``models/``.
            device: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            InputError: there are none at all.
        """
        if not (weights.is_file() if weights else any(MODELS_FOLDER.glob("*.ckpt"))):
            where = weights or MODELS_FOLDER
            raise InputError(f"{where}: no trained models; train them (dvc repro) or give --weights FILE")
        self.weights, self.device = weights, device
        self.groups = groups()
        self.suffixes = tuple(dict.fromkeys(suffix for group in self.groups for suffix in group.suffixes))
        self.learned = {group: group.learned for group in self.groups if weights is None}  # of an archive nobody knows
        self.trained: dict[Group, Trained] = {}
        self.missing: dict[Group, str] = {}
        self.thread = ThreadPoolExecutor(1, "models")

    def load(self) -> None:
        """Begin to load, ahead of all questions."""
        for group in self.groups:
            self.thread.submit(self.load_group, group)
        self.thread.submit(gc.freeze)  # what is loaded stays: no collection of an answer's figures looks through it

    def load_group(self, group: Group) -> None:
        """Load a group; trouble with it does not stop the others."""
        try:
            self.trained[group] = load_models(group.family, None, self.device, weights=self.weights, names=group.names)
        except (InputError, OSError) as mistake:
            told = one_line(mistake)
            if told not in self.missing.values():
                warn(told)
            self.missing[group] = told
        except Exception:  # as below
            traceback.print_exc()
            self.missing[group] = f"{group.title}: cannot be loaded; the terminal tells why; train it again (dvc repro)"

    @property
    def loading(self) -> bool:
        """Whether some are still to come."""
        return len(self.trained) + len(self.missing) < len(self.groups)

    def close(self) -> None:
        """Load no more and answer no question that waits, once what is under way has ended."""
        self.thread.shutdown(cancel_futures=True)

    def takers(self, name: str) -> list[Group]:
        """The groups that take a file of this name.

        Raises:
            InputError: there is none.
        """
        found = [group for group in self.groups if name.lower().endswith(group.suffixes)]
        if not found:
            raise InputError(f"{name}: no kind of file that is read; the list below says which are")
        return found

    def answer(self, name: str, content: BinaryIO, options: str) -> list[Part]:
        """What all that take a file say of it. It lies in a folder of its own until they have.

        Args:
            name: of :func:`~pipeline.serving.uploads.own_name`.
            content: of the file.
            options: as on the command line.

        Raises:
            InputError: none has an answer.
        """
        takers = self.takers(name)
        given = options_for([group.family for group in takers], options)
        with TemporaryDirectory(prefix="star-cluster-") as folder:
            path = Path(folder, name)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
            try:
                check_unpacked(path)
            except InputError as mistake:
                raise InputError(said(mistake, path)) from mistake
            parts = [self.part(group, path, *given[group.family]) for group in takers]
        if all(part.error for part in parts):
            raise InputError("; ".join(dict.fromkeys(part.error for part in parts)))
        return parts

    def part(self, group: Group, path: Path, options: dict[str, Any], unused: list[str]) -> Part:
        """What a group says of a file, or why it says nothing; with what was said that it has no use for."""
        import matplotlib.pyplot as plt

        if group in self.missing:
            return Part(group, error=self.missing[group])
        models = self.trained[group]
        answers = path.parent / group.label
        try:
            written = write(predict(models, path, **options), answers / f"{path.stem}_{group.label}", path)
        except (InputError, OSError) as mistake:
            return Part(group, error=said(mistake, path))
        except Exception:  # one question must not end the answers to others
            traceback.print_exc()
            return Part(group, error=f"{path.name}: {FAILED}")
        finally:
            plt.close("all")
            gc.collect()  # figures hold themselves, and Python alone waits for many answers
        files = {file.name: file.read_bytes() for file in sorted(answers.iterdir())}
        return answered(group, models.scale, json.loads(files[written.name]), files, unused)


def said(mistake: Exception, path: Path) -> str:
    """A mistake in one line, without the folder of the file."""
    return one_line(mistake).replace(f"{path.parent}/", "")
