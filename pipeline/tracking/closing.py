"""What a stage says when it is done: a table in a terminal, one line elsewhere, nothing in CI."""

import os
import sys
from collections.abc import Mapping


def close(title: str, facts: Mapping[str, str]) -> None:
    """Tell the facts of a stage that ended well.

    Args:
        title: the stage and its model, ``train gnn``.
        facts: what was found and where it was written, by its name.
    """
    if os.environ.get("CI"):
        return
    if not sys.stdout.isatty():
        print(f"{title}: {', '.join(f'{name} {fact}' for name, fact in facts.items())}", flush=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    for name, fact in facts.items():
        table.add_row(name, fact)
    Console().print(table)
