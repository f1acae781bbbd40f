"""What is installed: exact versions with hashes, inside the declared ranges, and no release known to be malicious."""

import re
import tomllib
from functools import cache

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MALICIOUS = ("2.6.2", "2.6.3")  # of pytorch-lightning, of 30 April 2026: they steal credentials
CODE_EXECUTION = ("2.6.0", "2.6.1", "2.6.4", "2.6.5")  # GHSA-qqmf-gpg7-g8gw: a checkpoint's hyperparameters are run


@cache
def declared() -> dict[str, list[Requirement]]:
    """Ranges of pyproject.toml; "" are the dependencies, the others are the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {group: [Requirement(line) for line in lines] for group, lines in groups.items()}


@cache
def locked() -> list[tuple[Requirement, tuple[str, ...]]]:
    """Requirements of requirements.lock, each with the words that follow it."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    split = [re.split(r"\s+(?=--)", line.strip()) for line in lines]
    return [(Requirement(requirement), tuple(words)) for requirement, *words in split]


def version(requirement: Requirement) -> str:
    [specifier] = requirement.specifier
    return specifier.version


@pytest.mark.parametrize("release", [*MALICIOUS, *CODE_EXECUTION])
def test_malicious_releases_are_excluded(release: str) -> None:
    requirements = [requirement for group in declared().values() for requirement in group]
    names = {canonicalize_name(requirement.name) for requirement in [*requirements, *(row[0] for row in locked())]}
    assert "lightning" not in names, "the same code under another name, with the same malicious releases"
    ranges = [requirement.specifier for requirement in requirements if requirement.name == "pytorch-lightning"]
    versions = [version(requirement) for requirement, _ in locked() if requirement.name == "pytorch-lightning"]
    assert ranges
    assert not any(specifier.contains(release, prereleases=True) for specifier in ranges)
    assert len(versions) == 1
    assert release not in versions


def test_every_requirement_is_pinned() -> None:
    assert len(locked()) > 200
    for requirement, _ in locked():
        [specifier] = requirement.specifier
        assert specifier.operator == "==", requirement
        assert "*" not in specifier.version, requirement
        assert requirement.url is None, requirement


def test_the_lock_is_that_of_the_declared_ranges() -> None:
    for wanted in declared()[""] + declared()["dev"]:
        pins = [pin for pin, _ in locked() if pin.name == canonicalize_name(wanted.name)]
        assert pins, f"{wanted}: not in requirements.lock; its first lines say how it is made"
        for pin in pins:
            assert wanted.specifier.contains(version(pin), prereleases=True), f"{pin} is outside {wanted}"


def test_every_file_has_its_hash_and_no_index_is_named() -> None:
    for requirement, words in locked():
        assert words, f"{requirement}: no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for word in words), requirement
        assert len(set(words)) == len(words), requirement
    assert "://" not in (ROOT / "requirements.lock").read_text()
