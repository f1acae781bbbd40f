"""What a user's mistake looks like: one line, exit status 2, no traceback."""

import sys
from collections.abc import Callable


class InputError(ValueError):
    """A mistake in parameters or input; its text names the file or key and the remedy."""


def warn(text: str) -> None:
    """Tell of trouble that does not stop the work."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def run(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; turn user mistakes and unusable files into one line and status 2."""
    try:
        main()
    except (InputError, PermissionError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        sys.exit(130)
