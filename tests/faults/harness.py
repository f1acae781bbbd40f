"""Stages as processes of their own, to be killed or starved; and what an undisturbed run leaves.

A test starts the command that a person types, does harm to it, then runs the same command again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from conftest import ROOT

HERE = Path(__file__).parent
PATIENCE = 120.0  # seconds: of a busy machine, not of a stage
LAUNCHERS = ("SLURM_", "TORCHELASTIC_", "RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_", "DVC_", "PAUSE")


@dataclass
class Running:
    """A command in a session of its own, and the file with what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def family(self) -> list[psutil.Process]:
        """The process and all that it has started."""
        try:
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def end(self, patience: float = PATIENCE) -> int:
        """Wait for the end; the status as a shell tells it: 128 + n of a signal n."""
        status = self.process.wait(patience)
        return 128 - status if status < 0 else status


def stage(name: str, *arguments: str) -> list[str]:
    """The command of a stage: ``python -m pipeline.<name>``."""
    return [sys.executable, "-m", f"pipeline.{name}", *arguments]


def dvc(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


def environment(**changes: str | None) -> dict[str, str]:
    """That of a person's shell with one thread, without a tracker and a launcher; None takes a variable away."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
    kept |= {"PATH": f"{Path(sys.executable).parent}:{kept['PATH']}", "PYTHONPATH": f"{HERE / 'pauses'}:{ROOT}"}
    kept |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
    kept["WANDB_MODE"] = "disabled"
    return {name: value for name, value in (kept | changes).items() if value is not None}


_started: list[Running] = []


def start(
    command: Sequence[str], *, folder: Path | None = None, env: dict[str, str] | None = None, prefix: Sequence[str] = ()
) -> Running:
    """Start a command in ``folder``, the current one by default; ``prefix`` goes before it, such as :func:`tmpfs`."""
    folder = folder or Path.cwd()
    log = folder.parent / f"{folder.name}.log.{len(_started)}"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*prefix, *command],
            cwd=folder,
            env=environment() if env is None else env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started.append(Running(process, log))
    return _started[-1]


def run(command: Sequence[str], **how: object) -> Running:
    """Start a command and wait until it has ended well."""
    running = start(command, **how)  # type: ignore[arg-type]
    assert running.end() == 0, running.output
    return running


def fail(command: Sequence[str], **how: object) -> str:
    """Start a command that says in one line why it cannot go on, with status 2; return the line."""
    running = start(command, **how)  # type: ignore[arg-type]
    status, said = running.end(), running.output
    assert status == 2, f"{status}: {said}"
    assert "Traceback" not in said, said
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    return line


def end_all() -> None:
    """End what a failed test has left running: the sessions of its commands, by their numbers."""
    while _started:
        running = _started.pop()
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == running.process.pid:
                    process.kill()
            except (psutil.Error, OSError):
                continue
        running.process.wait(10)


def until(holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: it does not.
    """
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {patience} s"
        time.sleep(0.02)


def when(running: Running, what: str) -> None:
    """Wait until a file of this pattern exists below the current folder, or the command has said this."""
    until(
        lambda: any(Path.cwd().glob(what)) or what in running.output or running.process.poll() is not None,
        what,
    )
    assert running.process.poll() is None, f"ended before {what}: {running.output}"


@dataclass
class Pause:
    """A place in a stage at which it waits; ``env`` for :func:`start`."""

    folder: Path
    command: Sequence[str]
    place: tuple[str, str, str, int]

    def env(self, **changes: str | None) -> dict[str, str]:
        told = json.dumps([self.command[2], *self.place])
        return environment(PAUSE=told, PAUSES=str(self.folder), **changes)

    def reached(self, running: Running, processes: int = 1) -> list[int]:
        """Wait until so many processes wait at the place; their numbers."""
        until(
            lambda: len(list(self.folder.glob("paused.*"))) >= processes or running.process.poll() is not None,
            f"{self.place}",
        )
        assert running.process.poll() is None, f"ended before {self.place}: {running.output}"
        return sorted(int(file.suffix[1:]) for file in self.folder.glob("paused.*"))

    def go_on(self) -> None:
        """Let the processes go on that wait, and those to come: they are only noted."""
        (self.folder / "go").touch()

    def was_reached(self) -> bool:
        """Whether a process has come by."""
        return any(self.folder.glob("paused.*"))


def pause(command: Sequence[str], module: str, name: str, words: str = "", others: int = 0) -> Pause:
    """Let the stage of ``command`` wait before a call of ``module``'s function ``name``.

    Args:
        command: of :func:`stage`.
        module: in which the function is.
        name: of the function, dotted if it is a class's.
        words: that the call's arguments have.
        others: how many such calls go by before.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{Path.cwd().name}.pause.", dir=Path.cwd().parent))
    return Pause(folder, command, (module, name, words, others))


def setting(command: Sequence[str], *values: tuple[str, str, object]) -> str:
    """The variable SET that gives module, name, value of constants to the stage of ``command``."""
    return json.dumps([[command[2], *value] for value in values])


def kill(process: Running | int, number: int = signal.SIGKILL) -> None:
    """Send a signal to one process, not to what it has started."""
    os.kill(process if isinstance(process, int) else process.process.pid, number)


def killed_at(place: Pause, **changes: str | None) -> Running:
    """Start a command, SIGKILL it where it waits, and return it."""
    running = start(place.command, env=place.env(**changes))
    place.reached(running)
    kill(running)
    assert running.end() == 128 + signal.SIGKILL
    return running


def contents(*places: str, folder: Path | None = None) -> dict[str, bytes]:
    """All files below some places of a folder, hidden ones too, and what is in them."""
    folder = folder or Path.cwd()
    files = (
        file
        for place in places
        for file in ((folder / place).rglob("*") if (folder / place).is_dir() else [folder / place])
    )
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(files)
        if file.is_file() and file.name != ".gitignore"
    }


def assert_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Compare files by name, then by bytes, in few words."""
    assert sorted(found) == sorted(expected)
    assert [name for name in found if found[name] != expected[name]] == []


def mounts() -> bool:
    """Whether this user may mount in a namespace of its own."""
    return (
        bool(shutil.which("unshare"))
        and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    )


def tmpfs(size: str, place: str) -> list[str]:
    """Prefix of a command that sees a small disk at ``place``, or whose files cannot be longer than ``size``.

    Args:
        size: such as 64k.
        place: folder in the current one, made if missing.
    """
    if not mounts():
        return ["bash", "-c", f'ulimit -f {size.removesuffix("k")}; trap "" XFSZ; exec "$0" "$@"']
    Path(place).mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={size} none {place} && "$0" "$@"; status=$?; find {place} -type f; exit $status'
    return ["unshare", "-rm", "bash", "-c", script]


def read_only(*places: str) -> list[str]:
    """Prefix of a command that cannot write to some places."""
    if not mounts():
        pytest.skip("no namespace of mounts here")
    steps = "".join(f'mount --bind "{place}" "{place}" && mount -o remount,bind,ro "{place}" && ' for place in places)
    return ["unshare", "-rm", "bash", "-c", f'{steps} cd "$PWD" && exec "$0" "$@"']


def orphans(folder: Path) -> Iterator[psutil.Process]:
    """Processes whose current folder is this one."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue
