"""The tests of benchmarks.mutants: which of them reach a line, and whether one fails on a mutant of it."""

import gc
import hashlib
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.mutants_made import ROOMS, ROOT, Mutant, files_of, key
from pipeline.errors import InputError
from pipeline.outputs import atomic_file

TEST_SECONDS = 15.0  # CPU time of the tests of a mutant
LIMIT, COMPILING, ALL = 60, 300, 3600  # CPU seconds of a mutant, above which it hangs; of a kernel's; of all tests once
MEMORY = 8 << 30  # bytes, above which it fails
TESTS = (
    "lit_modules/**/test_*.py",
    "datamodules/test_*.py",
    "pipeline/*/**/test_*.py",
    "pipeline/test_draw_*.py",
    "pipeline/test_generate_*.py",
    "pipeline/test_import_*.py",
)
APART = ("serving", "reporting", "tracking", "training", "settings")  # folders of tests that are not of a room
ENGINES = (
    "mutmut",
    "coverage",
    "pytest",
    "hypothesis",
    "numba",
    "polars",
    "scipy.stats",
    "sklearn",
    "astropy.io.fits",
    "matplotlib.pyplot",
    "pytorch_lightning",
    "torchmetrics",
)
IMPORT, HANGS = "an import", "the end of a process"  # what kills a mutant beside a test
PACKAGES = ("pipeline", "lit_modules", "datamodules", "benchmarks", "tests")


def import_engines() -> None:
    """Once, before the processes of the tests are forked from this one.

    Raises:
        InputError: mutmut is not there.
    """
    try:
        for name in ENGINES:
            import_module(name)
    except ImportError as error:
        raise InputError(f"{error}: pip install mutmut") from error
    gc.freeze()


def copy_project(copy: Path) -> None:
    """All files but those that git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


@dataclass(frozen=True)
class Reach:
    """Which tests run a line, and how long each takes.

    Attributes:
        tests: file -> line -> names of tests.
        seconds: of a test that passes, by its name.
    """

    tests: Mapping[str, Mapping[str, Sequence[str]]]
    seconds: Mapping[str, float]

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that run the changed line, the quickest first; of what coverage does not tell, the file's."""
        lines = self.tests.get(mutant.path, {})
        names = set(lines.get(str(mutant.line), []))
        if mutant.unseen or not names:
            names = {name for line in lines.values() for name in line}
        quickest = sorted(names & self.seconds.keys(), key=lambda name: (self.seconds[name], name))
        total, chosen = 0.0, []
        for name in quickest:
            total += self.seconds[name]
            if total > TEST_SECONDS:
                break
            chosen.append(name)
        return chosen


def reached(copy: Path) -> Reach:
    """Run every test once, on the code as it is; kept beside the copy, until the code changes or the test does."""
    path = copy.parent / "reach.json"
    code = digest(copy / name for room in ROOMS for name in files_of(room))
    files = {
        file.relative_to(copy).as_posix(): digest([file])
        for pattern in TESTS
        for file in sorted((copy / "tests").glob(pattern))
        if file.parent.name not in APART
    }
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if values.get("code") != code:
        values = {"code": code, "files": {}, "tests": {}, "seconds": {}}
    new = [name for name in files if values["files"].get(name) != files[name]]
    if new:
        print(f"{len(new)} files of tests, once", file=sys.stderr)
        in_child(copy, partial(watch, copy, path, values | {"files": files}, new), ALL)
        values = json.loads(path.read_text(encoding="utf-8"))
    return Reach(values["tests"], values["seconds"])


def digest(files: Iterable[Path]) -> str:
    """Of what stands in files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def watch(copy: Path, path: Path, values: dict[str, Any], new: Sequence[str]) -> int:
    """Run files of tests under coverage, and write who reaches which line beside what is known of other files."""
    import coverage
    import pytest

    rooms = [str(copy / name / "*") for name in ("lit_modules", "pipeline")]
    watcher = coverage.Coverage(data_file=None, include=rooms, config_file=False)
    taken: dict[str, float] = defaultdict(float)

    class Watch:
        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            items[:] = [item for item in items if "tiny_data" not in item.fixturenames]

        def pytest_runtest_logstart(self, nodeid: str) -> None:
            watcher.switch_context(nodeid)
            taken[nodeid] -= time.process_time()

        def pytest_runtest_logreport(self, report: Any) -> None:
            taken[report.nodeid] += math.inf if report.failed else 0

        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            taken[nodeid] += time.process_time()

    watcher.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *new], plugins=[Watch()])
    watcher.stop()
    old, data = frozenset(new), watcher.get_data()
    seconds = {name: spent for name, spent in values["seconds"].items() if name.partition("::")[0] not in old}
    seconds |= {name: spent for name, spent in taken.items() if spent < TEST_SECONDS}
    tests = values["tests"]
    for file in data.measured_files():
        lines = tests.setdefault(Path(file).relative_to(copy).as_posix(), {})
        for line, names in data.contexts_by_lineno(file).items():
            lines[str(line)] = sorted({*lines.get(str(line), []), *filter(None, names)})
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values | {"seconds": seconds}), encoding="utf-8")
    return int(code)


class First:
    """Plugin of pytest that writes into a file which test failed, or that a file of tests cannot be imported."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A test ended."""
        if report.failed:
            with self.path.open("a", encoding="utf-8") as out:
                out.write(f"{report.nodeid}\n")

    def pytest_collectreport(self, report: Any) -> None:
        """A file was read."""
        if report.failed:
            self.path.write_text(IMPORT, encoding="utf-8")


def killer(mutant: Mutant, copy: Path, reach: Reach) -> str:
    """The test that fails on the changed code, or what else ends it; empty if nothing does."""
    names, file, start = reach.of(mutant), copy / mutant.path, time.monotonic()
    before, stamp = file.read_text(encoding="utf-8"), file.stat().st_mtime
    file.write_text(mutant.source, encoding="utf-8")
    try:
        found = failed(names, copy, ["-x"], "njit" in before) if names else []
    finally:
        file.write_text(before, encoding="utf-8")
        os.utime(file, (stamp, stamp))
    by = "".join(found[:1])
    verdict = f"killed by {by}" if by else f"SURVIVED {len(names)} tests"
    print(f"{verdict}, {time.monotonic() - start:.1f} s: {key(mutant)}", file=sys.stderr)
    return by


def failed(names: Sequence[str], copy: Path, options: Sequence[str], kernels: bool = False) -> list[str]:
    """Which of the tests fail in the copy; ``IMPORT`` if it cannot be imported, ``HANGS`` if the process is ended."""
    import pytest

    path = copy.parent / "failed.txt"
    path.write_text("", encoding="utf-8")
    arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", *options, *names]
    code = in_child(
        copy, lambda: pytest.main(arguments, plugins=[First(path)]), COMPILING if kernels else LIMIT, kernels
    )
    return path.read_text(encoding="utf-8").splitlines() or ([HANGS] if code else [])


def checked(outcome: Mapping[Mutant, str], copy: Path) -> dict[Mutant, bool]:
    """Whether each mutant was killed; a test that fails on the code as it is, too, kills nothing."""
    killers = sorted({by for by in outcome.values() if "::" in by})
    files = [list(names) for _, names in groupby(killers, key=lambda name: name.partition("::")[0])]
    wrong = {name for names in files for name in failed(names, copy, [])}
    print(f"fail on the code as it is: {sorted(wrong)}", file=sys.stderr)
    return {mutant: bool(by) and by not in wrong for mutant, by in outcome.items()}


def in_child(copy: Path, work: Callable[[], int], limit: int, kernels: bool = False) -> int:
    """The exit code of what runs in a process of its own, in the copy.

    Args:
        copy: of the project; the project's own modules are imported from there.
        work: gives the exit code.
        limit: of CPU seconds, after which the process ends with a code that is not 0.
        kernels: compile every kernel anew; numba does not see that what a kernel calls has changed.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        os.setsid()
        signal.alarm(20 * limit)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]
        os.chdir(copy)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they cost more time than most tests
        sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
        sys.dont_write_bytecode = limit < ALL
        use_kernels(copy.parent / ("kernels-changed" if kernels else "kernels"), anew=kernels)
        with (copy.parent / "last.log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            code = int(work())
    finally:
        os._exit(code)


def use_kernels(folder: Path, anew: bool) -> None:
    """Where numba keeps what it compiled; anew: nothing of before."""
    import numba

    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
