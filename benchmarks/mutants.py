"""How many small mistakes in the code the tests find: mutants by mutmut, drawn alike from six parts of the project.

Each mutant is one change by mutmut's operators (`+` for `-`, `<` for `<=`, a number by one, an argument dropped, ...),
written into a copy of the project; the tests that reach its line then run, the quickest first, until one fails. Words,
settings, command lines and drawing are left out, for people judge them, and `device=` and `strict=`, which change
nothing here. It needs mutmut (`pip install mutmut`): python -m benchmarks.mutants --work DIR
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.mutants_made import ROOMS, Mutant, drawn, key
from benchmarks.mutants_tested import checked, copy_project, import_engines, killer, reached
from benchmarks.results import RESULTS, Row, write_results
from pipeline.errors import run
from pipeline.outputs import atomic_file

GOAL = 90.0  # per cent of the mutants killed
EACH = 52  # mutants of a room


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
