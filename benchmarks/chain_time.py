"""What the chain costs in a fresh clone: stages one after another (`dvc repro`) and side by side (`make`), in one call.

python -m benchmarks.chain_time, some half an hour on two cores; --scale tiny tries it and writes no results.
"""

import argparse
import ast
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from ruamel.yaml import YAML

from benchmarks.chain import ROOT, RUNS
from benchmarks.results import Row, write_results
from pipeline.errors import run
from pipeline.training.registry import MODELS, Model

FOLDER = RUNS / "chain_time"
SECONDS_BETWEEN_SAMPLES = 0.5
LEARNT = ("train@", "evaluate@", "report")  # stages whose bytes may depend on the machine


@dataclass(frozen=True)
class Cost:
    """What a run of the chain cost.

    Attributes:
        wall: seconds.
        cpu: seconds of all processes.
        busy: share of the time in which at least as many threads as cores were running or ready.
        silence: seconds of the longest pause between two lines.
        stages: wall and CPU seconds of each stage's own process.
    """

    wall: float
    cpu: float
    busy: float
    silence: float
    stages: Mapping[str, tuple[float, float]]


def main() -> None:
    """Run the chain twice and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain_time", description=__doc__)
    parser.add_argument("--scale", default="default", help="of the chain (default: %(default)s)")
    parser.add_argument("--avx2", action="store_true", help="as on a processor without AVX-512 and bf16")
    args = parser.parse_args()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if args.avx2:
        environment |= without_avx512()
    serial, parallel = (clone(name, args.scale, args.avx2) for name in ("serial", "side-by-side"))
    alone = measure(serial, ["dvc", "repro"], environment)
    together = measure(parallel, ["make", f"VENV={sys.prefix}"], environment)
    nothing = measure(parallel, ["dvc", "repro"], environment).wall
    rows = [
        *rows_of_time(alone, together, "AVX2, float32" if args.avx2 else ""),
        Row("dvc repro with nothing to do", nothing, "s", None, 3, "lower"),
        Row("data and DVC cache", gigabytes(parallel), "GB", None, 2, "lower", "hard links counted once"),
        *rows_of_locks(serial, parallel, args.scale),
        row_of_spellings(),
        *rows_of_stages(alone, together),
    ]
    part = "AVX2, float32" if args.avx2 else "this processor"
    write_results("chain_time", rows, quick=args.scale != "default", part=part)


def without_avx512() -> dict[str, str]:
    """Variables under which torch, oneDNN and numpy compute as on a processor without AVX-512."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    wide = [name for name in __cpu_dispatch__ if ("AVX512" in name or name == "X86_V4") and __cpu_features__[name]]
    return {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(wide),
    }


def clone(name: str, scale: str, float32: bool) -> Path:
    """A fresh clone of the commit checked out, at a scale; ``float32`` where ``precision: auto`` might be bf16."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "pipeline.scale", scale], cwd=folder, check=True)
    if float32:
        params = folder / "params.yaml"
        params.write_text(re.sub(r"\bprecision: auto\b", "precision: 32-true", params.read_text()))
    return folder


def measure(folder: Path, command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command of the chain through a pipe, its lines kept in <folder>.log.

    Raises:
        subprocess.CalledProcessError: it failed; the log says why.
    """
    print(f"{folder.name}: {' '.join(command)}", file=sys.stderr, flush=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watch = Watch(process.pid)
    watch.start()
    silence, latest = 0.0, start
    with folder.with_suffix(".log").open("a", buffering=1) as log:
        for line in process.stdout or ():
            now = time.monotonic()
            silence, latest = max(silence, now - latest), now
            log.write(f"{now - start:8.1f} {line}")
    status, end = process.wait(), time.monotonic()
    watch.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        raise subprocess.CalledProcessError(status, command, str(folder.with_suffix(".log")))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(end - start, cpu, watch.busy(), max(silence, end - latest), watch.stages())


class Watch(threading.Thread):
    """Looks at all descendants of a process twice a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.root = psutil.Process(pid)
        self.samples = self.full = 0
        self.seen: dict[str, tuple[float, float]] = {}  # first and latest look at each stage's process
        self.cpu: Counter[str] = Counter()
        self.stopped = threading.Event()

    def run(self) -> None:
        """Look until it is stopped."""
        while not self.stopped.wait(SECONDS_BETWEEN_SAMPLES):
            try:
                family = self.root.children(recursive=True)
            except psutil.NoSuchProcess:
                return
            self.samples += 1
            self.full += sum(ready_threads(process) for process in family) >= (os.cpu_count() or 1)
            for process in family:
                self._look(process)

    def _look(self, process: psutil.Process) -> None:
        try:
            stage = stage_of(process.cmdline())
            if stage:
                times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
                spent = sum(t.user + t.system + t.children_user + t.children_system for t in times)
                self.cpu[stage] = max(self.cpu[stage], spent)
                self.seen[stage] = (process.create_time(), time.time())
        except psutil.Error:
            return  # it has just ended

    def stop(self) -> None:
        """End the looks."""
        self.stopped.set()
        self.join()

    def busy(self) -> float:
        """Share of the looks that found work for every core."""
        return self.full / max(self.samples, 1)

    def stages(self) -> dict[str, tuple[float, float]]:
        """Wall and CPU seconds of each stage, half a second short at most."""
        return {stage: (end - start, self.cpu[stage]) for stage, (start, end) in self.seen.items()}


def ready_threads(process: psutil.Process) -> int:
    """Number of threads that are running, or would if a core were free."""
    count = 0
    for file in Path(f"/proc/{process.pid}/task").glob("*/stat"):
        try:
            count += file.read_text().rpartition(")")[2].split()[0] == "R"
        except OSError:
            continue  # it has just ended
    return count


def stage_of(command: list[str]) -> str | None:
    """Name of the stage whose Python process has this command line, such as ``train@gnn``."""
    option, module, which = command[1:2], "".join(command[2:3]), command[3:4]
    if option != ["-m"] or not module.startswith("pipeline.") or module == "pipeline.scale":
        return None
    return "@".join([module.removeprefix("pipeline."), *which])


def rows_of_time(alone: Cost, together: Cost, note: str) -> list[Row]:
    """Wall and CPU time, what work side by side gains, and the longest silence."""
    return [
        Row("make, wall", together.wall / 60, "min", None, 15, "lower", note),
        Row("make, CPU", together.cpu / 60, "min", None, 25, "lower", note),
        Row("dvc repro, wall", alone.wall / 60, "min", None, None, "lower", note),
        Row("dvc repro, CPU", alone.cpu / 60, "min", None, 25, "lower", note),
        Row("wall of make over that of dvc repro", together.wall / alone.wall, "x", None, 0.7, "lower", note),
        Row("make, all cores busy", 100 * together.busy, "%", None, 80, "higher", "of the time"),
        Row("make, longest silence", together.silence, "s", None, 10, "lower", "in a pipe"),
        Row("dvc repro, longest silence", alone.silence, "s", None, 10, "lower", "in a pipe"),
    ]


def rows_of_stages(alone: Cost, together: Cost) -> list[Row]:
    """CPU time of each stage, with its wall time in the notes."""
    rows = []
    for stage, (wall, cpu) in together.stages.items():
        note = f"wall {wall:.0f} s side by side, {alone.stages.get(stage, (0.0, 0.0))[0]:.0f} s alone"
        rows.append(Row(stage, cpu / 60, "CPU min", None, None, "lower", note))
    return rows


def gigabytes(folder: Path) -> float:
    """Disk that data/ and DVC's cache take together, hard links counted once, by du."""
    done = subprocess.run(["du", "-skc", "data", ".dvc/cache"], cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1].split()[0]) * 1024 / 1e9


def rows_of_locks(serial: Path, parallel: Path, scale: str) -> list[Row]:
    """Whether both runs gave the same bytes, and data stages those that are committed."""
    texts = [(folder / "dvc.lock").read_bytes() for folder in (serial, parallel)]
    differ = sum(a != b for a, b in zip(*(text.splitlines() for text in texts), strict=False)) + (
        len(texts[0].splitlines()) != len(texts[1].splitlines())
    )
    rows = [Row("lines of dvc.lock that differ side by side", float(differ), "", None, 0, "lower")]
    if scale == "default":
        committed, made = (YAML(typ="safe").load(folder / "dvc.lock")["stages"] for folder in (ROOT, parallel))
        data = [stage for stage in made if not stage.startswith(LEARNT)]
        other = [stage for stage in data if committed.get(stage, {}).get("outs") != made[stage].get("outs")]
        name = "data stages of other bytes than committed"
        rows.append(Row(name, float(len(other)), f"of {len(data)}", None, 0, "lower", ", ".join(other)))
    return rows


def row_of_spellings() -> Row:
    """The parameter of a model that is spelled in most places."""
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    counted: Counter[str] = Counter()
    for model in MODELS.values():
        for key in params[model.section]["model"]:
            counted[f"{model.section}.model.{key}"] = 1 + sum(spellings(file, key) for file in own_files(model))
    name, most = counted.most_common(1)[0]
    more = sum(number > 2 for number in counted.values())
    note = f"{name}; {more} of {len(counted)} parameters are spelled in more than two"
    return Row("places that spell a model's parameter", float(most), "", None, 2, "lower", note)


def own_files(model: Model) -> Iterator[Path]:
    """The code of a model: its LightningModule, its network and its settings."""
    yield ROOT / "lit_modules" / f"{model.module['file']}.py"
    yield from sorted((ROOT / "lit_modules/networks" / model.network).glob("*.py"))


def spellings(file: Path, key: str) -> int:
    """Places of a file that declare a parameter of a model or hand it on under its name.

    They are fields of classes, parameters of constructors and their lines in docstrings, and keywords ``key=key`` or
    ``key=settings.key``. Arguments of functions are mathematics, not declarations.
    """
    return sum(_spells(node, key) for node in ast.walk(ast.parse(file.read_text())))


def _spells(node: ast.AST, key: str) -> int:
    if isinstance(node, ast.ClassDef):
        fields = sum(isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == key for line in node.body)
        return fields + _documented(node, key)
    if isinstance(node, ast.FunctionDef) and node.name == "__init__":
        arguments = (*node.args.args, *node.args.kwonlyargs)
        return sum(argument.arg == key for argument in arguments) + _documented(node, key)
    if isinstance(node, ast.keyword) and node.arg == key:
        return int(ast.unparse(node.value).rpartition(".")[2] == key)
    return 0


def _documented(node: ast.ClassDef | ast.FunctionDef, key: str) -> int:
    return len(re.findall(rf"^ +{key}: ", ast.get_docstring(node, clean=False) or "", re.MULTILINE))


if __name__ == "__main__":
    run(main)
