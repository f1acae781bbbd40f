"""Section runtime of params.yaml: where the stages run, a dependency of none."""

from typing import Literal

from pipeline.settings.base import PositiveInt, Section


class Runtime(Section):
    accelerator: str
    devices: PositiveInt | Literal["auto"]
    num_nodes: PositiveInt
    strategy: str
    workers: PositiveInt
    parallel_backend: str
    plot_real_time: bool
