"""What holds the rooms together: arrows of imports, parameters and signatures, dependencies of stages."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT
from dvc.repo import Repo

from pipeline.settings.load import load_params
from pipeline.training.registry import MODELS

ROOMS = ("pipeline", "lit_modules", "datamodules")
# No stage need depend on these: they check, name mistakes and track, and shape no output.
UNTRACKED = (
    "pipeline/errors.py",
    "pipeline/parallel.py",
    "pipeline/progress.py",
    "pipeline/surroundings.py",
    "pipeline/settings",
    "datamodules/settings.py",
    "pipeline/training/launch.py",
    "pipeline/training/registry.py",
    "pipeline/tracking",
)
# Besides rooms, an evaluation may import these: they read what a person brings.
READERS = tuple(f"pipeline/{name}" for name in ("errors.py", "settings", "inputs"))
TOOLS = tuple(f"pipeline/{name}.py" for name in ("errors", "outputs", "scale", "training/registry"))
DECLARED = "pipeline/settings/base.py"  # what all declarations of parameters share
STAGES = sorted(path.stem for path in (ROOT / "pipeline").glob("*.py") if "__main__" in path.read_text())


def type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def walk(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.stmt) and type_checking(child)):
            yield child
            yield from walk(child)


def file_of(module: str) -> str | None:
    path = module.replace(".", "/")
    for candidate in (f"{path}.py", f"{path}/__init__.py"):
        if (ROOT / candidate).is_file() and module.split(".")[0] in ROOMS:
            return candidate
    return None


@cache
def imports(file: str) -> frozenset[str]:
    """First-party files that ``file`` imports, lazily or not."""
    found = set()
    for node in walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {file_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(file_of(node.module))
            found |= {file_of(f"{node.module}.{alias.name}") for alias in node.names}
    return frozenset(name for name in found if name and not name.endswith("__init__.py"))


def closure(file: str) -> set[str]:
    found, todo = set(), [file]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += imports(name)
    return found


def files(folder: str) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("pipeline/simulation", ("pipeline/simulation",)),
        ("lit_modules/networks", ("lit_modules/networks", DECLARED)),
        ("lit_modules", ("lit_modules", "pipeline/errors.py", DECLARED)),
        ("datamodules", ("datamodules", "pipeline/errors.py", DECLARED)),
        ("pipeline/evaluation", ("pipeline/evaluation", "pipeline/simulation", *READERS, "datamodules", "lit_modules")),
        (
            "pipeline/tracking",
            ("pipeline/tracking", "pipeline/evaluation/common", "pipeline/progress.py", "pipeline/settings", *TOOLS),
        ),
        (
            "pipeline/prediction",
            ("pipeline/prediction", "pipeline/evaluation", *TOOLS),
        ),
        (
            "pipeline/serving",
            (
                "pipeline/serving",
                "pipeline/predict.py",
                "pipeline/prediction",
                "pipeline/evaluation/common",
                *READERS,
                *TOOLS,
            ),
        ),
    ],
)
def test_arrows_go_one_way(room: str, allowed: tuple[str, ...]) -> None:
    for file in files(room):
        wrong = [name for name in imports(file) if not name.startswith(allowed)]
        assert not wrong, f"{file} imports {wrong}"


@pytest.mark.parametrize("family", sorted({model.family for model in MODELS.values()}))
def test_evaluation_does_not_read_what_people_bring(family: str) -> None:
    """Prediction does; an edit there evaluates nothing again."""
    assert not [file for file in closure(f"pipeline/evaluation/{family}/evaluation.py") if "pipeline/inputs" in file]


@pytest.mark.parametrize("room", ["lit_modules/networks", "pipeline/simulation"])
def test_leaves_are_pure(room: str) -> None:
    for file in files(room):
        text = (ROOT / file).read_text()
        assert not re.search(r"^\s*(import|from) (pytorch_lightning|wandb|dvc)\b", text, re.M), file


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_declared_once(name: str) -> None:
    section, model = load_params(ROOT / "params.yaml").model_section(name), MODELS[name]
    module, datamodule = model.make_module(section), model.make_datamodule(section)
    assert module.settings == section.model
    assert dict(module.hparams) == section.model.model_dump()
    assert datamodule.settings == section.data
    for declared in (module.settings, datamodule.settings):
        fields = type(declared).model_fields.values()
        assert all(field.is_required() and field.description for field in fields), "no default, and a line on each"


@cache
def stages() -> dict[str, tuple[str, set[str]]]:
    """Stage to its script and its dependencies, as DVC itself reads dvc.yaml."""
    with Repo(str(ROOT)) as repo:
        return {
            stage.addressing: (stage.cmd.split()[2].replace(".", "/") + ".py", {str(dep) for dep in stage.deps})
            for stage in repo.index.stages
        }


def test_every_stage_depends_on_the_code_it_imports() -> None:
    for name, (script, deps) in stages().items():
        needed = closure(script)
        model = MODELS.get(name.partition("@")[2])
        if model:  # looked up by name, so no import shows it
            lookups = [f"lit_modules.{model.module['file']}", f"datamodules.{model.datamodule['file']}"]
            lookups += [f"pipeline.evaluation.{model.family}.evaluation"] * name.startswith("evaluate")
            for lookup in lookups:
                needed |= closure(file_of(lookup) or "")
        missing = [
            file
            for file in sorted(needed)
            if not file.startswith(UNTRACKED) and not any(file == dep or file.startswith(f"{dep}/") for dep in deps)
        ]
        assert not missing, f"dvc.yaml: {name} does not depend on {missing}"


def test_adding_a_model_makes_no_other_stale() -> None:
    """What is the same file for all models is no dependency of a training or evaluation."""
    for name, (_, deps) in stages().items():
        if name.startswith(("train", "evaluate")):
            assert not any(dep.startswith(("pipeline/training/registry", "pipeline/training/models")) for dep in deps)


@pytest.mark.parametrize("stage", STAGES)
def test_help_answers_at_once(stage: str) -> None:
    code = (
        f"import sys\nfrom pipeline.{stage} import main\n"
        "try: main(['--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'pytorch_lightning', 'matplotlib', 'numba', 'astropy', 'wandb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("scale", sorted((ROOT / "scales").glob("*.yaml")), ids=lambda path: path.stem)
def test_scales_are_valid(scale: Path, tmp_path: Path) -> None:
    from pipeline.scale import write_scale

    params = tmp_path / "params.yaml"
    params.write_text((ROOT / "params.yaml").read_text())
    write_scale(scale, params)
    assert load_params(params) != load_params(ROOT / "params.yaml")


def test_params_hide_nothing_from_dvc() -> None:
    assert "${" not in (ROOT / "params.yaml").read_text()


def test_shipped_inits_are_empty() -> None:
    for room in ROOMS:
        assert not any(path.read_text() for path in (ROOT / room).rglob("__init__.py"))
