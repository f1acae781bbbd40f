"""Spoils good files a million times, and sees that every reader says no in one line, soon and in little memory.

Half of the inputs are led by coverage (atheris, which is no dependency: install it to run them), half drawn by
Hypothesis. Each engine runs in a process of its own, started anew where an input ends it. What goes wrong is kept in
runs/fuzz/found: the input, and its traceback beside it. runs/fuzz/<reader>.json holds what was counted of a reader,
runs/fuzz/fuzz.json of all; ``benchmarks.scale --part fuzz`` makes rows of it.
"""

import argparse
import hashlib
import json
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from benchmarks.fuzz_readers import READERS, Reader, refused
from pipeline.outputs import atomic_file

RUNS = Path("runs/fuzz")
ENGINES = ("atheris", "hypothesis")
INSTRUMENTED = ["pipeline", "datamodules", "PIL", "pydicom", "astropy.io.fits", "astropy.wcs", "ruamel"]
SECONDS, MEGABYTES = 5, 2000  # an input may take
PATIENCE = 20.0  # seconds of wall clock after which an input is interrupted
HANG = 60.0  # seconds of wall clock after which a process that cannot be interrupted is killed
STATE = struct.Struct("<QQddd")  # inputs, refused, slowest (CPU s), largest memory (MB), begin of the present input


class TooSlowError(BaseException):
    """An input took too long; no reader's ``except Exception`` catches it."""


def main() -> None:
    """Fuzz the readers; print and write their table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all readers (default: %(default)s)")
    parser.add_argument("--reader", choices=READERS, action="append", help="this one alone; may be given again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=3, metavar=("READER", "ENGINE", "INPUTS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run_engine(args.child[0], args.child[1], int(args.child[2]), args.seed)
        return
    for name in args.reader or READERS:
        fuzz(name, args.inputs * READERS[name].share // 1000, args.seed)
        write_table()


def fuzz(name: str, inputs: int, seed: int) -> None:
    """Both engines on a reader, an equal share each."""
    rows = []
    for engine in ENGINES:
        count, no, slowest, memory, starts = 0, 0, 0.0, 0.0, 0
        wanted = inputs // len(ENGINES)
        while count < wanted:
            done = in_process(name, engine, wanted - count, seed + starts)
            count, no, starts = count + done[0], no + done[1], starts + 1
            slowest, memory = max(slowest, done[2]), max(memory, done[3])
            if not done[0] and starts > 20:
                raise SystemExit(f"{name}: {engine} does not start")
        rows.append({"engine": engine, "inputs": count, "refused": no, "slowest_s": slowest, "memory_mb": memory})
    found = sorted(path.name for path in (RUNS / "found").glob(f"{name}-*.txt"))
    with atomic_file(RUNS / f"{name}.json") as temporary:
        temporary.write_text(json.dumps({"reader": name, "seed": seed, "engines": rows, "findings": found}, indent=1))


def write_table() -> None:
    """All readers' rows as one file, and as a table on the screen."""
    rows = [json.loads(path.read_text()) for path in sorted(RUNS.glob("*.json")) if path.stem in READERS]
    with atomic_file(RUNS / "fuzz.json") as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    for row in rows:
        for engine in row["engines"]:
            counts = f"{engine['inputs']:8,} inputs, {engine['refused']:8,} refused"
            cost = f"slowest {engine['slowest_s']:.2f} s, {engine['memory_mb']:.0f} MB"
            print(f"{row['reader']:10} {engine['engine']:10} {counts}, {cost}, {len(row['findings'])} findings")
    print(f"{sum(e['inputs'] for row in rows for e in row['engines']):,} inputs", flush=True)


# --- a process ------------------------------------------------------------------------------------


def in_process(name: str, engine: str, inputs: int, seed: int) -> tuple[int, int, float, float]:
    """Inputs tried, those refused, the slowest (s) and the largest memory (MB) of a process that may die."""
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        state = Path(place, "state")
        state.write_bytes(bytes(STATE.size))
        command = [sys.executable, "-m", "benchmarks.fuzz", "--seed", str(seed), "--child", name, engine, str(inputs)]
        process = subprocess.Popen(command, env={**os.environ, "FUZZ_PLACE": place}, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(0.5)
            begin = STATE.unpack(state.read_bytes())[4]
            if begin and time.time() - begin > HANG:
                process.kill()
        count, no, slowest, memory, begin = STATE.unpack(state.read_bytes())
        if begin:  # it died inside
            keep(name, Path(place, READERS[name].file).read_bytes(), f"the process ended with {process.returncode}")
            count += 1
    return count, no, slowest, memory


def keep(name: str, content: bytes, text: str, key: str = "") -> None:
    """An input and what it did, once of a kind."""
    folder = RUNS / "found"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{hashlib.sha256((key or text).encode()).hexdigest()[:8]}"
    if not (folder / f"{stem}.txt").exists():
        (folder / f"{stem}{Path(READERS[name].file).suffix}").write_bytes(content)
        (folder / f"{stem}.txt").write_text(text)


def run_engine(name: str, engine: str, inputs: int, seed: int) -> None:
    """Try inputs until there are enough, in this process."""
    place = Path(os.environ["FUZZ_PLACE"])
    signal.signal(signal.SIGALRM, too_slow)
    with (place / "state").open("r+b") as file:
        state = mmap.mmap(file.fileno(), STATE.size)
    if engine == "hypothesis":
        by_hypothesis(name, trial(name, place, state), inputs, seed)
    else:
        import atheris

        with atheris.instrument_imports(include=INSTRUMENTED):
            tried = trial(name, place, state)
        by_coverage(name, tried, inputs, seed, place)


def too_slow(number: int, frame: FrameType | None) -> None:
    """Of the alarm.

    Raises:
        TooSlowError: always.
    """
    raise TooSlowError(f"more than {PATIENCE:g} s")


def trial(name: str, place: Path, state: mmap.mmap) -> Callable[[bytes], None]:
    """What is done with each input."""
    reader, numbers = READERS[name], [0, 0, 0.0, 0.0]
    for content in reader.good():
        refused(reader, content, place)  # imports are no input's fault
    limit = int(memory_now() + MEGABYTES) << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def tried(content: bytes) -> None:
        STATE.pack_into(state, 0, *numbers, time.time())
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            numbers[1] += refused(reader, content, place) is not None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            text = "".join(traceback.format_exception(error))
            keep(name, content, text, f"{type(error).__name__} {last.filename} {last.lineno}")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.process_time() - begin
        if seconds > SECONDS:
            keep(name, content, f"{seconds:.1f} s", "slow")
        numbers[0], numbers[2], numbers[3] = numbers[0] + 1, max(numbers[2], seconds), peak()
        STATE.pack_into(state, 0, *numbers, 0.0)

    return tried


def memory_now() -> float:
    """Address space of this process, MB."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE / 2**20


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# --- engines --------------------------------------------------------------------------------------


def by_coverage(name: str, tried: Callable[[bytes], None], inputs: int, seed: int, place: Path) -> None:
    """Led by atheris to what has not run yet (libFuzzer), its own changes and ours in turn."""
    import atheris

    reader = READERS[name]
    corpus = place / "corpus"
    corpus.mkdir()
    for number, content in enumerate(reader.good()):
        (corpus / str(number)).write_bytes(content)

    def changed(content: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        ours = random.random() < 0.6
        return (reader.changed(content, random) if ours else atheris.Mutate(content, len(content) + 8))[:most]

    options = [f"-runs={inputs}", f"-seed={seed}", "-timeout=0", "-rss_limit_mb=0", "-max_len=65536", "-verbosity=0"]
    kept = f"-artifact_prefix={place}/"  # what libFuzzer itself finds slow; else beside the code
    atheris.Setup(["fuzz", *options, kept, str(corpus)], tried, custom_mutator=changed)
    atheris.Fuzz()


def by_hypothesis(name: str, tried: Callable[[bytes], None], inputs: int, seed: int) -> None:
    """Drawn by Hypothesis, of new draws each a thousand: it remembers all that it has seen."""
    import hypothesis

    for number in range(0, inputs, 1000):
        test = hypothesis.given(content=drawn(READERS[name]))(lambda content: tried(content))
        test = hypothesis.seed(1_000_003 * seed + number)(test)
        hypothesis.settings(
            max_examples=min(1000, inputs - number), deadline=None, database=None, phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )(test)()  # fmt: skip


def drawn(reader: Reader) -> Any:
    """Hypothesis' strategy: a good file made worse, or any bytes."""
    from hypothesis import strategies as st

    worse = st.builds(reader.changed, st.sampled_from(reader.good()), st.randoms(use_true_random=False))
    return st.one_of(worse, worse, worse, st.binary(max_size=200))


if __name__ == "__main__":
    main()
