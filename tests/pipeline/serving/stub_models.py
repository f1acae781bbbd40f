"""A server whose models answer at once, by the name of the file."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy.io import fits

from pipeline.errors import InputError
from pipeline.evaluation.common.result import Picture, Result
from pipeline.prediction.provenance import provenance
from pipeline.prediction.trained import Trained
from pipeline.serving import models as serving_models
from pipeline.serving.models import Models
from pipeline.serving.server import listening, make_server


def load(family: str, checkpoint: Path | None, device: str, *, weights: Path | None, names: tuple[str, ...]) -> Trained:
    if family == "boltzmann":
        raise InputError("models/boltzmann.ckpt: no such checkpoint; train the model first")
    if names == ("autoencoder-covid",):
        raise KeyError("secret of a checkpoint")
    return Trained(family, [], dict.fromkeys(names, "0" * 64), "tiny" if family == "rbm" else "default")


def answer(models: Trained, path: Path, **options: Any) -> Result:
    if "bad" in path.stem:
        raise InputError(f"{path}: no good; give another")
    if "fault" in path.stem and models.family == "ebm":
        raise RuntimeError(f"secret of {path}")
    distance = {"value": 15.25, "low": 14.0, "high": 17.0, "unit": "kpc"}
    mass = {"value": 8390.0, "low": 7010.0, "high": 10000.0, "unit": "Msun"}
    metrics = {
        "outside_training": "far" in path.stem,
        "interval": "68 %",
        "distance": distance,
        "field_mass": mass,
        "warnings": ["unlike <every> map"] * ("far" in path.stem)
        + [f"fwhm {options.get('fwhm')}"] * ("odd" in path.stem),
        "provenance": provenance(path, models, {}),
    }
    figure = plt.figure(figsize=(6, 3))
    figure.suptitle(path.stem)
    hdus = fits.HDUList([fits.PrimaryHDU(np.arange(6.0).reshape(2, 3))])
    return Result(metrics, [Picture("seen", "What was seen.", figure)], {"map": hdus})


@contextmanager
def stub_models(folder: Path) -> Iterator[Models]:
    """Models of a folder of which none is read."""
    (folder / "models").mkdir()
    (folder / "models/gnn.ckpt").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(serving_models, "load_models", load)
        patch.setattr(serving_models, "predict", answer)
        yield Models()


@contextmanager
def served(models: Models) -> Iterator[str]:
    """The address of a page of these models."""
    with listening(0) as listener:
        server = make_server(models)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join()
