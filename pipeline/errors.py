"""What a user's mistake looks like: one line, exit status 2, no traceback."""

import errno
import re
import sys
from collections.abc import Callable
from pathlib import Path

AGAIN = "run the same command again to go on"
REMEDIES = {  # of what a disk or the memory refuses
    errno.ENOSPC: f"no space left on this disk; make room and {AGAIN}",
    errno.EDQUOT: f"your share of this disk is used up; make room and {AGAIN}",
    errno.EFBIG: f"this file may not grow further; raise the limit (ulimit -f) and {AGAIN}",
    errno.EROFS: f"this disk is read-only; make it writable and {AGAIN}",
    errno.ENOTDIR: f"a file is where a folder should be; move it away and {AGAIN}",
    errno.EISDIR: f"a folder is where a file should be; move it away and {AGAIN}",
    errno.ENOMEM: f"out of memory; end other programs or lower runtime.workers, and {AGAIN}",
}
NUMBER = re.compile(  # as Python, polars and torch say it; numpy and torch give none where a write failed
    r"\[Errno (\d+)\]|\(os error (\d+)\)|Error code (\d+) \(Cannot allocate"
    r"|\d+ requested and \d+ written|inline_container.*unexpected pos \d+ vs \d+"
)


class InputError(ValueError):
    """A mistake in parameters or input; its text names the file or key and the remedy."""


def warn(text: str) -> None:
    """Tell of trouble that does not stop the work."""
    print(f"warning: {readable(text)}", file=sys.stderr, flush=True)


def readable(text: str | Path) -> str:
    """Text that can be printed: bytes of a file name that are not UTF-8 stand as escapes."""
    return str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def one_line(said: object) -> str:
    """What an error or a card says, in one line that can be printed."""
    return readable(" ".join(str(said).split()))


def trouble(error: BaseException) -> str | None:
    """What the machine lacks for the work, and the remedy, where ``error`` says that; else None.

    Some libraries put the number of the error into the text of an error of their own.
    """
    if isinstance(error, MemoryError):
        return REMEDIES[errno.ENOMEM]
    number = getattr(error, "errno", None)
    if number is None and (found := NUMBER.search(str(error))):
        number = next((int(digits) for digits in found.groups() if digits), errno.ENOSPC)
    return REMEDIES.get(number) if number else None


def file_of(error: BaseException) -> str | Path | None:
    """The file that an error is about, where it says so; of a copy, where to."""
    return getattr(error, "filename2", None) or getattr(error, "filename", None)


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; turn user mistakes and what the machine lacks into one line and status 2."""
    from pipeline.surroundings import settle

    try:
        settle()
        main()
    except (InputError, PermissionError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"interrupted: {AGAIN}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        said = trouble(error)
        if said is None:
            raise
        print(f"error: {one_line(f'{file_of(error)}: {said}' if file_of(error) else said)}", file=sys.stderr)
        sys.exit(2)
