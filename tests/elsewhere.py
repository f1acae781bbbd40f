"""A GPU for tests where there is none: tensors with numbers, which refuse to meet tensors of the processor.

They say that they are on the device ``meta``, for which torch needs no driver, and are computed on the processor. What
a true GPU refuses, they refuse: tensors of two devices, a generator of the other device, numpy. What makes the
processor wait for the GPU is noted.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self
from unittest import mock

import torch
from torch import Generator, Tensor, autocast, tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

GPU, CPU = torch.device("meta"), torch.device("cpu")
aten = torch.ops.aten
TO, ONTO = aten._to_copy.default, aten.copy_.default
INDEX = aten.index.Tensor
WAITS = (aten._local_scalar_dense.default, aten.equal.default)


class There(Tensor):
    """A tensor on the GPU, whose numbers are those of ``held``."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        place = {"dtype": held.dtype, "device": GPU, "storage_offset": held.storage_offset()}
        there = Tensor._make_wrapper_subclass(cls, held.shape, held.stride(), **place)
        there.held = held
        return there

    def __init__(self, held: Tensor) -> None:
        pass

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:  # type: ignore[override]
        return There(self.held.new_tensor(data, **options))

    @classmethod
    def __torch_dispatch__(cls, func: Any, *_: Any) -> Any:
        raise RuntimeError(f"{func} of a tensor on the emulated GPU, which is no more")


class Emulation(TorchDispatchMode):
    """Does each operation where its tensors are, or refuses to.

    Attributes:
        waits: operations that made the processor wait, for a tensor or a number of the GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = [each for each in tensors if isinstance(each, There)]
        here = [each for each in tensors if each.ndim and not isinstance(each, There)]
        on_gpu = bool(there) if kwargs.get("device") is None else kwargs["device"] == GPU
        if func is ONTO:
            on_gpu = isinstance(args[0], There)
        if there and here and func is INDEX and isinstance(args[0], There):
            here = []  # rows may be named by the processor
        if there and (func in WAITS or (func in (TO, ONTO) and not on_gpu)):
            self.waits.append(str(func))
        elif there and here and func not in (TO, ONTO):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")
        if kwargs.get("device") is not None:
            kwargs["device"] = CPU
        found = func(*held(args), **held(kwargs))
        if not on_gpu:
            return found
        known = {id(each.held): each for each in there}  # operations in place return their own argument
        return tree_map_only(Tensor, lambda each: known[id(each)] if id(each) in known else There(each), found)


def held(arguments: Any) -> Any:
    """The arguments as the processor sees them."""
    return tree_map_only(There, lambda each: each.held, arguments)


class GeneratorThere(Generator):
    """A generator of the GPU; it draws what the processor's draws."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU


class Generators(TorchFunctionMode):
    """Refuses random numbers of the other device's generator, which an operation no longer knows by its class."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        generator = kwargs.get("generator")
        if isinstance(generator, Generator):
            on_gpu = kwargs.get("device", args[0].device if args and isinstance(args[0], Tensor) else CPU) == GPU
            if isinstance(generator, GeneratorThere) != on_gpu:
                raise RuntimeError(f"{func}: expected a generator of the same device")
        return func(*args, **kwargs)


class GeneratorAnywhere(Generator):
    """What ``torch.Generator`` is while the GPU is emulated."""

    def __new__(cls, device: Any = CPU) -> Self:
        return GeneratorThere() if torch.device(device) == GPU else Generator()  # type: ignore[return-value]


def tensor_anywhere(data: Any, *, device: Any = CPU, **options: Any) -> Tensor:
    """What ``torch.tensor`` is while the GPU is emulated."""
    made = tensor(data, **options)
    return There(made) if torch.device(device) == GPU else made


def autocast_anywhere(device_type: str, **options: Any) -> Any:
    """What ``torch.autocast`` is while the GPU is emulated, which has no kernels in half precision."""
    return nullcontext() if device_type == GPU.type else autocast(device_type, **options)


@contextmanager
def emulated_gpu() -> Iterator[Emulation]:
    """There is a GPU, ``elsewhere.GPU``, inside this block."""
    with (
        mock.patch("torch.Generator", GeneratorAnywhere),
        mock.patch("torch.tensor", tensor_anywhere),
        mock.patch("torch.inference_mode", torch.no_grad),
        mock.patch("torch.autocast", autocast_anywhere),
        Generators(),
        Emulation() as emulation,
    ):
        yield emulation
