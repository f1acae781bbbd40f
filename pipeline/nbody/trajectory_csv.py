"""Rows of the trajectory CSV with twelve decimals, some times faster than a general writer.

A number is scaled to an integer, whose digits are found eight at a time by multiplications inside one
64-bit word.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numba import njit
from numpy import uint64
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]

LARGEST = 1e6  # beyond it, twelve decimals overflow 64 bits
PIECE_ROWS = 10_000  # formatted at once: their memory is used again and stays in the cache
_WHOLE = 2.0**52  # from here on a float has no fraction, and half a unit more would only round away from it
_ROW = 200  # bytes that a row never reaches
_COMMA, _MINUS, _POINT, _ZERO, _NEWLINE = (uint64(ord(sign)) for sign in ",-.0\n")
_ONE, _TEN, _4_DIGITS, _12_DIGITS = uint64(1), uint64(10), uint64(10**4), uint64(10**12)


def write_rows(file: BinaryIO, first: int, time: Array, x: Array, v: Array, mass: Array | None) -> None:
    """Write the rows of :func:`csv_rows` to an open file, piece by piece."""
    for some, now in _pieces(x.shape):
        own = None if mass is None else mass[some]
        file.write(csv_rows(first + some.start, time[now], x[some, now], v[some, now], own).data)


def _pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Simulations and outputs to format at once: whole simulations, or parts of one that is large."""
    simulations, outputs, stars, _ = shape
    some = max(1, PIECE_ROWS // (outputs * stars))
    now = outputs if outputs * stars <= PIECE_ROWS else max(1, PIECE_ROWS // stars)
    for first in range(0, simulations, some):
        for start in range(0, outputs, now):
            yield slice(first, first + some), slice(start, start + now)


def csv_rows(first: int, time: Array, x: Array, v: Array, mass: Array | None) -> Bytes:
    """Rows of some simulations, sorted by simulation, time and star, without the header.

    Args:
        first: number of the first simulation.
        time: of the outputs, shape ``(outputs,)``.
        x: positions, shape ``(simulations, outputs, stars, 3)``.
        v: velocities, same shape.
        mass: a last column, shape ``(simulations, stars)``; None: no such column.

    Raises:
        OverflowError: a number is not finite or is too large for twelve decimals.
    """
    stamps = np.char.encode([repr(float(t)) for t in time], "ascii")
    lengths = np.char.str_len(stamps)
    characters = stamps.view(np.uint8).reshape(len(time), -1)
    rows = np.empty(_ROW * x[..., 0].size, dtype=np.uint8)
    end = _write(rows, first, characters, lengths, x, v, np.empty((0, 0)) if mass is None else mass)
    if not end:
        raise OverflowError(f"a star is farther or faster than {LARGEST:g}")
    return rows[:end]


@njit(inline="always")
def _eight_digits(value: Any) -> Any:
    """The eight decimal digits of ``value < 10^8`` as characters, the first in the lowest byte."""
    fours = (value // _4_DIGITS) | ((value % _4_DIGITS) << uint64(32))
    hundreds = ((fours * uint64(10486)) >> uint64(20)) & uint64(0x0000007F_0000007F)
    twos = hundreds | ((fours - uint64(100) * hundreds) << uint64(16))
    tens = ((twos * uint64(103)) >> uint64(10)) & uint64(0x000F_000F_000F_000F)
    ones = tens | ((twos - _TEN * tens) << uint64(8))
    return ones | uint64(0x3030_3030_3030_3030)


@njit(inline="always")
def _put_integer(rows: Bytes, at: Any, value: Any) -> Any:
    """Write an integer; return the place behind it."""
    digits, power = _ONE, _TEN
    while value >= power:
        digits += _ONE
        power *= _TEN
    for k in range(digits):
        rows[at + digits - _ONE - uint64(k)] = _ZERO + value % _TEN
        value //= _TEN
    return at + digits


@njit(inline="always")
def _put_decimal(rows: Bytes, at: Any, value: float) -> Any:
    """Write a comma and a number with twelve decimals; return the place behind it."""
    rows[at] = _COMMA
    rows[at + _ONE] = _MINUS
    at += _ONE + uint64(value < 0)
    product = abs(value) * 1e12
    scaled = uint64(product + 0.5 if product < _WHOLE else product)
    whole = scaled // _12_DIGITS
    at = _put_integer(rows, at, whole)
    rows[at] = _POINT
    fraction = scaled - whole * _12_DIGITS
    high = fraction // _4_DIGITS
    first, last = _eight_digits(high), _eight_digits(fraction - high * _4_DIGITS)
    for k in range(8):
        rows[at + uint64(1 + k)] = (first >> uint64(8 * k)) & uint64(0xFF)
    for k in range(4):
        rows[at + uint64(9 + k)] = (last >> uint64(32 + 8 * k)) & uint64(0xFF)
    return at + uint64(13)


@njit(cache=True, nogil=True)
def _write(rows: Bytes, first: int, stamps: Bytes, lengths: Any, x: Array, v: Array, mass: Array) -> Any:
    """Write all rows; return their length, or 0 if a number does not fit."""
    at = uint64(0)
    number = np.empty(20, dtype=np.uint8)
    for s in range(x.shape[0]):
        digits = _put_integer(number, uint64(0), uint64(first + s))
        for t in range(x.shape[1]):
            for i in range(x.shape[2]):
                for k in range(digits):
                    rows[at + uint64(k)] = number[k]
                at += digits
                rows[at] = _COMMA
                at = _put_integer(rows, at + _ONE, uint64(i))
                rows[at] = _COMMA
                at += _ONE
                for k in range(lengths[t]):
                    rows[at] = stamps[t, k]
                    at += _ONE
                for c in range(3):
                    if not (abs(x[s, t, i, c]) < LARGEST and abs(v[s, t, i, c]) < LARGEST):  # NaN is not
                        return uint64(0)
                for c in range(3):
                    at = _put_decimal(rows, at, x[s, t, i, c])
                for c in range(3):
                    at = _put_decimal(rows, at, v[s, t, i, c])
                if mass.size > 0:
                    at = _put_decimal(rows, at, mass[s, i])
                rows[at] = _NEWLINE
                at += _ONE
    return at
