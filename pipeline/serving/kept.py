"""Answers that are kept for a while, each under an address that nobody can guess."""

import secrets
import time
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
        time: when it was given, seconds of the monotonic clock.
    """

    name: str
    parts: list[Part]
    time: float

    def file(self, name: str) -> bytes | None:
        """The content of one of its files; None if it has no such."""
        return next((part.files[name] for part in self.parts if name in part.files), None)


class Kept:
    """Answers by address."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    def add(self, name: str, parts: list[Part]) -> str:
        """Keep an answer; its address."""
        self.forget(ANSWERS - 1)
        address = secrets.token_urlsafe(16)
        self.answers[address] = Answer(name, parts, time.monotonic())
        return address

    def get(self, address: str) -> Answer | None:
        """An answer; None if there is none, or no longer."""
        self.forget(ANSWERS)
        return self.answers.get(address)

    def forget(self, room: int) -> None:
        """Drop what is too old, and the oldest of too many."""
        oldest = time.monotonic() - 60 * MINUTES
        young = [(address, answer) for address, answer in self.answers.items() if answer.time > oldest]
        self.answers = dict(young[max(len(young) - room, 0) :])
