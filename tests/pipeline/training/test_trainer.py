"""The precision of a training follows what the hardware multiplies itself."""

import pytest
import torch
from conftest import ROOT

from pipeline.settings.load import load_params
from pipeline.training.trainer import precision

PARAMS = load_params(str(ROOT / "params.yaml"))
TRAINER = PARAMS.model_section("pidoc-mass").trainer


@pytest.mark.parametrize(
    ("able", "chosen"),
    [({"avx512_bf16": True}, "bf16-mixed"), ({"amx_bf16": True}, "bf16-mixed"), ({"avx2": True}, "32-true")],
)
def test_auto_is_bf16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, able: dict, chosen: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    runtime = PARAMS.runtime.model_copy(update={"accelerator": "cpu"})
    assert precision(TRAINER.model_copy(update={"precision": "auto"}), runtime) == chosen


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_bf16_where_the_gpu_has_it(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    auto = TRAINER.model_copy(update={"precision": "auto"})
    assert precision(auto, PARAMS.runtime) == ("bf16-mixed" if native else "32-true")


def test_a_named_precision_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert precision(TRAINER.model_copy(update={"precision": "64-true"}), PARAMS.runtime) == "64-true"
