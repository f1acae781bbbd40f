"""Mutants of benchmarks.mutants: small changes by mutmut's operators, drawn from six rooms of the project."""

import difflib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
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
LEFT_OUT = ("settings", "arguments", "options")
DRAWING = ("figures", "charts", "film", "gallery", "panels", "corner", "animation", "examples")
DRAWN = (
    "figure",
    "panels",
    "thumbnail",
    "contact_sheet",
    "pictures",
    "example_images",
    "tracks",
)  # in a function's name
PENS = ("figure", "axes", "plt")  # whose methods draw
GUARDS = ("device", "strict")  # arguments that tell on another device, or where a call is wrong already
BUILDERS = ("build_king_profiles", "build_star_table")  # ran once, for the tables that are shipped


@dataclass(frozen=True)
class Mutant:
    """One changed file.

    Attributes:
        room: of the code.
        path: of the file, from the root.
        line: of the change.
        source: the whole file, changed.
        change: the changed lines.
        unseen: coverage does not tell who uses it: in a function of numba, or outside of all, where a line runs once.
    """

    room: str
    path: str
    line: int
    source: str
    change: str
    unseen: bool


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
    left_out = {*LEFT_OUT, *DRAWING, *BUILDERS, "__init__"}
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
                return any(word in node.name.value for word in DRAWN)
            if (isinstance(node, cst.Arg) and guards(node)) or (isinstance(node, cst.Call) and draws(node)):
                return True
            return isinstance(node, cst.BaseString | cst.Raise) or super()._skip_node_and_children(node)

    code = (ROOT / path).read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    for mutation in visitor.mutations:
        arguments, left = (getattr(node, "args", ()) for node in (mutation.original_node, mutation.mutated_node))
        if not any(guards(argument) for argument in arguments if all(argument is not other for other in left)):
            yield module, mutation


def draws(call: Any) -> bool:
    """Whether a call is a method of a figure or its axes."""
    owner = getattr(call.func, "value", None)
    return getattr(owner, "value", None) in PENS


def guards(argument: Any) -> bool:
    """Whether an argument of a call says nothing here that a right call does not say."""
    return argument.keyword is not None and argument.keyword.value in GUARDS


def changed(room: str, path: str, module: Any, mutation: Any) -> Mutant | None:
    """The mutant of a mutation; none if it is no program."""
    import libcst as cst

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
    unseen = not isinstance(inside, cst.FunctionDef) or "njit" in module.code_for_node(inside)
    return Mutant(room, path, line, source, "\n".join(lines[1:]), unseen)
