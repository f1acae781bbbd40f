"""Every reader says no in one line, soon: to what Hypothesis spoils, and to all that fuzzing has found before.

``python -m benchmarks.fuzz`` does the same a million times.
"""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.fuzz import SECONDS, drawn
from benchmarks.fuzz_readers import READERS, refused

FOUND = Path(__file__).with_name("found")  # named after the reader, then what was wrong


def check(name: str, content: bytes, folder: Path) -> None:
    begin = time.process_time()
    told = refused(READERS[name], content, folder)
    assert time.process_time() - begin < SECONDS
    assert told is None or (told and len(told) < 10_000)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", READERS)
def test_a_reader_says_no_in_one_line(name: str, tmp_path: Path) -> None:
    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(content=drawn(READERS[name]))
    def tried(content: bytes) -> None:
        check(name, content, tmp_path)

    tried()


@pytest.mark.parametrize("name", READERS)
def test_good_files_are_taken(name: str, tmp_path: Path) -> None:
    """Or nothing beyond the first bytes would be fuzzed."""
    assert any(refused(READERS[name], content, tmp_path) is None for content in READERS[name].good())


@pytest.mark.parametrize("file", sorted(FOUND.iterdir()), ids=lambda file: file.name)
def test_what_was_found_stays_mended(file: Path, tmp_path: Path) -> None:
    check(file.name.partition("-")[0], file.read_bytes(), tmp_path)
