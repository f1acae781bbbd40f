"""Models that answer a question together, what they learned from, and which files they take."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.predict import declaration, families
from pipeline.prediction.trained import sets
from pipeline.serving.options import suffixes
from pipeline.training.registry import MODELS

REPORTED = Path("reports/figures")


@dataclass(frozen=True)
class Group:
    """Models that answer a question together.

    Attributes:
        family: of models.yaml.
        names: of the models.
    """

    family: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """In the names of its files."""
        return self.names[0] if len(self.names) == 1 else self.family

    @property
    def title(self) -> str:
        """In the page."""
        return "; ".join(MODELS[name].title for name in self.names)

    @property
    def learned(self) -> list[str]:
        """From which pictures those of ``models/`` did, in the words of the report, where it lies beside them."""
        notes = []
        for name in self.names:
            stated = REPORTED / name / "learned.json"
            if stated.is_file():
                notes += json.loads(stated.read_text("utf-8"))["notes"]
        return [note for note in notes if note.startswith("Learned from")]

    @property
    def help(self) -> str:
        """What it answers."""
        return str(declaration(self.family).HELP)

    @cached_property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files that it takes."""
        return suffixes(self.family)


def groups() -> list[Group]:
    """All that answer questions."""
    return [Group(family, tuple(names)) for family in families() for names in sets(family)]
