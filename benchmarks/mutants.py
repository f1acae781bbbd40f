"""How many small mistakes in the code the tests find: mutants by mutmut, drawn alike from six parts of the project.

Each mutant is one change by mutmut's operators (`+` for `-`, `<` for `<=`, a number by one, an argument dropped, ...),
written into a copy of the project; the tests that reach its line then run, the quickest first, until one fails. Words,
settings, command lines and drawing are left out: what a label says is for people to judge. It needs mutmut
(`pip install mutmut`): python -m benchmarks.mutants --work DIR
"""

import argparse
import difflib
import gc
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS, Row, write_results
from pipeline.errors import InputError, run
from pipeline.outputs import atomic_file

ROOT = Path(__file__).parents[1]
GOAL = 90.0  # per cent of the mutants killed
EACH = 54  # mutants of a room
TEST_SECONDS = 15.0  # CPU time of the tests of a mutant
LIMIT = 60  # CPU seconds of a mutant, above which it hangs
LONG_TEST = 6.0  # CPU seconds; longer tests take no part
NETWORKS, EVALUATION = "lit_modules/networks", "pipeline/evaluation"
LOSSES = ("energy/training", "energy/free_energy", "boltzmann/maximum_likelihood", "boltzmann/negative_phase")
SAMPLERS = ("boltzmann/tempering", "boltzmann/weighted_chains", "boltzmann/log_partition", "energy/inference")
ROOMS = {  # a file belongs to the first room that names it
    "losses": ("lit_modules/*.py", f"{NETWORKS}/pidoc/losses.py", *(f"{NETWORKS}/{name}.py" for name in LOSSES)),
    "samplers": (f"{NETWORKS}/sampling/*.py", *(f"{NETWORKS}/{name}.py" for name in SAMPLERS)),
    "networks": (f"{NETWORKS}/**/*.py",),
    "measures": (f"{EVALUATION}/**/*.py",),
    "physics": ("pipeline/simulation/**/*.py",),
    "readers": ("pipeline/inputs/*.py", "pipeline/nbody/*.py"),
}
LEFT_OUT = ("settings", "arguments", "options", "figures", "charts", "film", "gallery", "panels", "corner", "animation")
BUILDERS = ("build_king_profiles", "build_star_table")  # ran once, for the tables that are shipped
TESTS = (
    "lit_modules",
    "datamodules",
    "pipeline/evaluation",
    "pipeline/simulation",
    "pipeline/inputs",
    "pipeline/nbody",
)
ENGINES = ("mutmut", "coverage", "pytest", "hypothesis", "numba", "polars", "scipy.stats", "sklearn", "astropy.io.fits")
ENGINES = (*ENGINES, "matplotlib.pyplot", "pytorch_lightning", "torchmetrics")
IMPORT, HANGS = "an import", "the end of a process"  # what kills a mutant beside a test
PACKAGES = ("pipeline", "lit_modules", "datamodules", "benchmarks", "tests")


@dataclass(frozen=True)
class Mutant:
    """One changed file.

    Attributes:
        room: of the code.
        path: of the file, from the root.
        line: of the change.
        source: the whole file, changed.
        change: the changed lines.
        compiled: it stands in a function of numba, whose lines no coverage sees.
    """

    room: str
    path: str
    line: int
    source: str
    change: str
    compiled: bool


def main(argv: Sequence[str] | None = None) -> None:
    """Make the mutants, run the tests, write the table and the survivors."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the copy of the project")
    parser.add_argument("--each", type=int, default=EACH, help="mutants of a room (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS), help="(default: all)")
    parser.add_argument("--survivors", action="store_true", help="keep those that were killed the last time")
    parser.add_argument("--quick", action="store_true", help="one mutant of a room: does it run? writes no table")
    args = parser.parse_args(argv)
    import_engines()
    copy = args.work.resolve() / "copy"
    copy_project(copy)
    reach = reached(copy)
    mutants = [mutant for room in args.rooms for mutant in drawn(room, 1 if args.quick else args.each, args.seed)]
    last = args.work / "killers.json"
    kept = json.loads(last.read_text(encoding="utf-8")) if args.survivors else {}
    killers: dict[Mutant, str] = {}
    for mutant in mutants:
        killers[mutant] = kept.get(key(mutant)) or killer(mutant, copy, reach)
        found = kept | {key(mutant): by for mutant, by in killers.items()}
        last.write_text(json.dumps(found, indent=1), encoding="utf-8")
    outcome = checked(killers, copy)
    write_results("mutants", rows_of(outcome), args.quick)
    write_survivors(outcome, args.work if args.quick else RESULTS)


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
    """Everything that git knows of."""
    shutil.rmtree(copy, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


# --- mutants ---------------------------------------------------------------------------------------------------------


def key(mutant: Mutant) -> str:
    """What tells a mutant from all others."""
    return f"{mutant.path}:{mutant.line}\n{mutant.change}"


def files_of(room: str) -> list[str]:
    """Source files of a room, in order."""
    taken: set[Path] = set()
    for name, patterns in ROOMS.items():
        found = {path for pattern in patterns for path in ROOT.glob(pattern)} - taken
        if name == room:
            break
        taken |= found
    left_out = {*LEFT_OUT, *BUILDERS, "__init__"}
    return sorted(path.relative_to(ROOT).as_posix() for path in found if path.stem not in left_out)


def drawn(room: str, n: int, seed: int) -> list[Mutant]:
    """So many mutants of a room, each as likely as the other."""
    every = [(path, module, mutation) for path in files_of(room) for module, mutation in mutations(path)]
    random.Random(f"{room} {seed}").shuffle(every)
    found: dict[str, Mutant] = {}
    for path, module, mutation in every:
        mutant = changed(room, path, module, mutation)
        if mutant is not None:
            found.setdefault(key(mutant), mutant)
        if len(found) == n:
            break
    return list(found.values())


def mutations(path: str) -> Iterator[tuple[Any, Any]]:
    """The syntax tree of a file with each of its mutations; unlike mutmut alone, also in decorated functions."""
    import libcst as cst
    from libcst.metadata import MetadataWrapper
    from mutmut.mutation.file_mutation import MutationVisitor
    from mutmut.mutation.mutators import mutation_operators
    from mutmut.mutation.pragma_handling import IgnoredCode

    class Visitor(MutationVisitor):
        def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
            if isinstance(node, cst.FunctionDef):
                return False
            return isinstance(node, cst.BaseString | cst.Raise) or super()._skip_node_and_children(node)

    code = (ROOT / path).read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    for mutation in visitor.mutations:
        yield module, mutation


def changed(room: str, path: str, module: Any, mutation: Any) -> Mutant | None:
    """The mutant of a mutation; none if it is no program."""
    source = module.deep_replace(mutation.original_node, mutation.mutated_node).code
    try:
        compile(source, path, "exec")
    except SyntaxError:
        return None
    before, after = module.code.splitlines(), source.splitlines()
    lines = [
        line for line in difflib.unified_diff(before, after, lineterm="", n=0) if not line.startswith(("---", "+++"))
    ]
    line = int(lines[0].split()[1].removeprefix("-").partition(",")[0])
    inside = mutation.contained_by_top_level_function
    compiled = "njit" in module.code and inside is not None and "njit" in module.code_for_node(inside)
    return Mutant(room, path, line, source, "\n".join(lines[1:]), compiled)


# --- tests -----------------------------------------------------------------------------------------------------------


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
        """Tests that run the changed line, the quickest first; of code that coverage does not see, the file's."""
        lines = self.tests.get(mutant.path, {})
        names = set(lines.get(str(mutant.line), []))
        if mutant.compiled or not names:
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
    """Run every test once, on the code as it is; kept beside the copy."""
    path = copy.parent / "reach.json"
    if not path.is_file():
        print("all tests, once", file=sys.stderr)
        in_child(copy, partial(watch, copy, path), 3600)
    values = json.loads(path.read_text(encoding="utf-8"))
    return Reach(values["tests"], values["seconds"])


def watch(copy: Path, path: Path) -> int:
    """Run all tests under coverage, and write who reaches which line."""
    import coverage
    import pytest

    rooms = [str(copy / name / "*") for name in ("lit_modules", "pipeline")]
    watcher = coverage.Coverage(data_file=None, include=rooms, config_file=False)
    seconds: dict[str, float] = defaultdict(float)

    class Watch:
        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            items[:] = [item for item in items if "tiny_data" not in item.fixturenames]

        def pytest_runtest_logstart(self, nodeid: str) -> None:
            watcher.switch_context(nodeid)
            seconds[nodeid] -= time.process_time()

        def pytest_runtest_logreport(self, report: Any) -> None:
            seconds[report.nodeid] += 0 if report.passed else math.inf

        def pytest_runtest_logfinish(self, nodeid: str) -> None:
            seconds[nodeid] += time.process_time()

    watcher.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in TESTS)], plugins=[Watch()])
    watcher.stop()
    data = watcher.get_data()
    tests = {
        str(Path(file).relative_to(copy)): {
            str(line): [name for name in names if name] for line, names in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    quick = {name: taken for name, taken in seconds.items() if taken < LONG_TEST}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps({"tests": tests, "seconds": quick}), encoding="utf-8")
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
    code = in_child(copy, lambda: pytest.main(arguments, plugins=[First(path)]), LIMIT, kernels)
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
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]
        os.chdir(copy)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they cost more time than most tests
        sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
        sys.dont_write_bytecode = kernels or limit == LIMIT
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


# --- table -----------------------------------------------------------------------------------------------------------


def rows_of(outcome: Mapping[Mutant, bool]) -> list[Row]:
    """Per cent killed, of all and of each room."""
    rooms = {mutant.room for mutant in outcome}
    groups = {"all": list(outcome.values())}
    groups |= {room: [found for mutant, found in outcome.items() if mutant.room == room] for room in sorted(rooms)}
    return [
        Row(
            f"mutants killed: {name}",
            100 * sum(found) / len(found),
            "%",
            None,
            GOAL if name == "all" else None,
            "higher",
            f"{sum(found)} of {len(found)}",
        )
        for name, found in groups.items()
    ]


def write_survivors(outcome: Mapping[Mutant, bool], folder: Path) -> None:
    """The change of each mutant that no test noticed."""
    with atomic_file(folder / "mutants.txt") as temporary:
        text = "\n\n".join(key(mutant) for mutant, found in outcome.items() if not found)
        temporary.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
