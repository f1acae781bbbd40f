"""What a user's mistake looks like: one line, exit status 2, no traceback."""

import sys
from collections.abc import Callable
from pathlib import Path


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


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; turn user mistakes and unusable files into one line and status 2."""
    from pipeline.surroundings import settle

    try:
        settle()
        main()
    except (InputError, PermissionError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        sys.exit(130)
