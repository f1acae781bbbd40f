"""Answers that are kept for a while, each under an address that nobody can guess."""

import asyncio
import secrets
from dataclasses import dataclass

from pipeline.serving.answers import Part

MINUTES = 15  # that an answer is kept
ANSWERS = 8  # at most; the oldest makes room


@dataclass(frozen=True)
class Answer:
    """What all groups say of a file.

    Attributes:
        name: of the file.
        parts: one a group.
    """

    name: str
    parts: list[Part]

    def file(self, name: str) -> bytes | None:
        """The content of one of its files; None if it has no such."""
        return next((part.files[name] for part in self.parts if name in part.files), None)


class Kept:
    """Answers by address, in the order in which they were given."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    def add(self, name: str, parts: list[Part]) -> str:
        """Keep an answer until its time is over, in a running event loop; its address."""
        while len(self.answers) >= ANSWERS:
            del self.answers[next(iter(self.answers))]
        address = secrets.token_urlsafe(16)
        self.answers[address] = Answer(name, parts)
        asyncio.get_running_loop().call_later(60 * MINUTES, self.answers.pop, address, None)
        return address

    def get(self, address: str) -> Answer | None:
        """An answer; None if there is none, or no longer."""
        return self.answers.get(address)
