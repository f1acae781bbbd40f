"""Sends a run to W&B's server while the stage records it on the disk: no trouble of the server reaches the stage.

The run of the stage is an offline one: a stage whose run is online in W&B's own way waits for the server at its start,
at each table and artifact, and at its end.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

from pipeline.errors import one_line, warn

API = "https://api.wandb.ai"
SECONDS_TO_CONNECT, SECONDS_TO_FINISH = 5.0, 30.0


class Sender:
    """`wandb sync` of a run that is still being recorded, in a process of its own that ends with the stage.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wandb", "beta", "sync", "--live", "--yes", str(folder)],
            env=os.environ | {"WANDB_SILENT": "false"},  # it says why it failed
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C ends the stage; the end of the run is then still to be sent
        )

    def finish(self) -> None:
        """Wait until the server has the whole run, half a minute at most; then warn, and leave it to `wandb sync`."""
        try:
            said, _ = self.process.communicate(timeout=SECONDS_TO_FINISH)
            trouble = said.strip().rpartition("\n")[2].removeprefix("wandb: ").removeprefix("ERROR ")
        except subprocess.TimeoutExpired:
            self.stop()
            trouble = f"no answer for {SECONDS_TO_FINISH:.0f} s"
        if not any(self.folder.glob("*.synced")):
            warn(f"W&B's server has not taken the whole run ({one_line(trouble)}); {later(self.folder)}")

    def stop(self) -> None:
        """Send no more."""
        self.process.kill()
        self.process.communicate()


def trouble() -> str | None:
    """Why nothing can be sent, or None; a server that answers badly is found out by the sender."""
    import wandb

    if not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
        return "no API key (set WANDB_API_KEY or run `wandb login`)"
    address = _first_hop(os.environ.get("WANDB_BASE_URL", API))
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        socket.create_connection((address.hostname or "", port), timeout=SECONDS_TO_CONNECT).close()
    except (OSError, ValueError) as error:
        return f"{address.hostname} cannot be reached ({error})"
    return None


def _first_hop(server: str) -> SplitResult:
    """The server, or the proxy through which it is reached: behind one, a direct connection may well fail."""
    address = urlsplit(server)
    proxy = getproxies().get(address.scheme)
    return urlsplit(proxy) if proxy and not proxy_bypass(address.hostname or "") else address


def later(folder: Path) -> str:
    """The remedy where a run was not sent."""
    return f"send it later by `wandb sync {shown(folder)}`"


def shown(folder: Path) -> str:
    """A folder as one would type it."""
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)
