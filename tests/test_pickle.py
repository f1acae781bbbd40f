"""No file of a stranger is read as a pickle: not by any line of the code, not by any reader."""

import ast
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT

from pipeline.errors import InputError

ROOMS = ("pipeline", "lit_modules", "datamodules", "benchmarks", "examples")
PICKLES = ("pickle", "dill", "cloudpickle", "shelve", "marshal")
CALLS = ("joblib.load", "read_pickle", "yaml.unsafe_load", "yaml.full_load")
BELL = Path("rung")  # the file that a pickle would have made


def sources() -> list[Path]:
    return [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def wrong_calls(tree: ast.AST) -> list[str]:
    """Imports and calls that may run what a file says."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name.split(".")[0] in PICKLES]
        if isinstance(node, ast.Call):
            name, told = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            if name.endswith(CALLS) or name in ("eval", "exec") or wrong_options(name, told):
                found.append(ast.unparse(node))
    return found


def wrong_options(name: str, told: dict[str | None, str]) -> bool:
    """Whether a call leaves pickles, or objects of YAML, to be read."""
    reads_weights = name.endswith("torch.load") or "ckpt_path" in told or name.endswith("load_from_checkpoint")
    return (
        told.get("weights_only", "False" if reads_weights else "True") != "True"
        or told.get("allow_pickle", "False") != "False"
        or (name.endswith("YAML") and told.get("typ", "'rt'") not in ("'safe'", "'rt'"))
    )


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_read_with_pickle(path: Path) -> None:
    assert wrong_calls(ast.parse(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "trainer.fit(module, ckpt_path=path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "joblib.load(path)",
        "YAML(typ='unsafe')",
        "eval(text)",
    ],
)
def test_a_pickle_would_be_seen(line: str) -> None:
    assert wrong_calls(ast.parse(line))


class Ringer:
    """Its pickle makes a file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (BELL,)


def in_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([Ringer()], dtype=object), allow_pickle=True)


def in_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, light=np.array([Ringer()], dtype=object))


def plain(path: Path) -> None:
    path.write_bytes(pickle.dumps(Ringer()))


def in_checkpoint(path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": {"lr": Ringer()}, "pytorch-lightning_version": "2.6.6"}, path)


def in_old_checkpoint(path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": Ringer()}, path, _use_new_zipfile_serialization=False)


def read_map(path: Path) -> None:
    from benchmarks.fuzz_readers import training_maps
    from pipeline.inputs.observation import read_npy

    read_npy(path, training_maps())


def read_all_maps(path: Path) -> None:
    from pipeline.inputs.cluster_maps import read_array

    read_array(path)


def read_image(path: Path) -> None:
    from pipeline.inputs.cluster_maps import _image
    from pipeline.settings.load import load_params

    _image(path, "light", load_params(ROOT / "params.yaml").clusters)


def read_checkpoint(path: Path) -> None:
    from pipeline.training.registry import MODELS

    MODELS["gnn"].load(path)


@pytest.mark.parametrize("read", [read_map, read_all_maps, read_image, read_checkpoint])
@pytest.mark.parametrize("write", [in_npy, in_npz, plain, in_checkpoint, in_old_checkpoint])
def test_a_pickle_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], read: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("gnn.ckpt" if read is read_checkpoint else "map.npy")
    write(path)
    with pytest.raises(InputError, match=rf"^{path}: not (a|an) (checkpoint|NPY)") as error:
        read(path)
    assert not BELL.exists()
    assert "\n" not in str(error.value)


def test_the_bell_rings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would see nothing."""
    monkeypatch.chdir(tmp_path)
    in_checkpoint(Path("gnn.ckpt"))
    torch.load("gnn.ckpt", weights_only=False)
    assert BELL.exists()


def test_a_damaged_weight_is_seen(tmp_path: Path) -> None:
    """Torch looks at no check sum: a flipped bit of a tensor would be read in silence."""
    from benchmarks.fuzz_seeds import checkpoints
    from pipeline.training.registry import stored_in

    (content,) = checkpoints()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
        place = largest.header_offset + 128 + largest.file_size // 2
    assert stored_in(Path("a.ckpt"), content)["state_dict"]
    spoilt = content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :]
    torch.load(io.BytesIO(spoilt), weights_only=True)
    with pytest.raises(InputError, match=r"a\.ckpt: not a checkpoint"):
        stored_in(Path("a.ckpt"), spoilt)
