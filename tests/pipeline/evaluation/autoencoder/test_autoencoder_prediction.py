"""A picture of 16 bits as a model sees it that was trained on such."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pipeline.evaluation.autoencoder.prediction import predict
from tests.pipeline.evaluation.autoencoder.toy import autoencoder


def test_predict_sees_a_picture_as_the_training_did(tmp_path: Path) -> None:
    """Three times as wide as high, of one level; the training was padded, and white at 4095."""
    model = autoencoder(side=10)
    model.validation_errors = torch.ones(1)
    seen: list[torch.Tensor] = []
    model.net.register_forward_hook(lambda net, inputs, output: seen.append(inputs[0][0, 0]))
    Image.fromarray(np.full((10, 30), 2000, np.uint16)).save(tmp_path / "a.tif")
    assert "level 2047 is taken to be white" in predict([model], tmp_path / "a.tif").metrics["warnings"][0]
    assert torch.allclose(seen[-1], torch.tensor(2000 / 2047), atol=1 / 255)
    model.white, model.padded = torch.tensor(4095), torch.tensor(True)
    assert predict([model], tmp_path / "a.tif").metrics["warnings"] == []
    assert seen[-1][:3].max() == seen[-1][7:].max() == 0
    assert torch.allclose(seen[-1][4:6], torch.tensor(2000 / 4095), atol=1 / 255)
