"""Development script: builds data/stars.npz, the present state of stars by initial mass, age and metallicity.

Evolves single stars with COSMIC (Breivik et al. 2020), whose tracks are those of SSE (Hurley, Pols & Tout 2000), and
interpolates them at equal stages of evolution, so that the table is as fine as the giants need. Run it as
``python -m pipeline.simulation.clusters.build_star_table`` after ``pip install -e .[tables]``; it takes a minute of
one core.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cosmic
import numpy as np
from cosmic.evolve import Evolve
from cosmic.sample.initialbinarytable import InitialBinaryTable
from numpy.typing import NDArray

from pipeline.simulation.clusters.stars import (
    BLACK_HOLE,
    EARLY_AGB,
    GAP,
    HELIUM_CORE,
    MAIN_SEQUENCE,
    NEUTRON_STAR,
    PULSING_AGB,
    RED_GIANT,
    WHITE_DWARF,
)

Array = NDArray[np.float64]

METALLICITIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
AGES = np.geomspace(0.1, 14.0, 40)  # Gyr
STAGES = {  # nodes of each stage after the main sequence, closer to its end where stars run fastest
    GAP: np.linspace(0, 1, 8),
    RED_GIANT: 1 - (1 - np.linspace(0, 1, 30)) ** 3,
    HELIUM_CORE: np.linspace(0, 1, 12),
    EARLY_AGB: 1 - (1 - np.linspace(0, 1, 12)) ** 2,
    PULSING_AGB: np.linspace(0, 1, 8),
}
DWARFS = 1 - (1 - np.linspace(0, 1, 64)) ** 2  # main-sequence nodes between 0.08 Msun and the turn-off, in log mass
COOLING = np.linspace(0, 1, 24) ** 3  # white-dwarf nodes between the youngest and the most massive one, in log mass
HEAVY = np.linspace(0, 1, 16)  # nodes of neutron stars and of black holes, in log mass
LOWEST, LARGEST = 0.08, 100.0  # Msun
DARK = (-9.0, 3.5)  # log luminosity and temperature of what does not shine
KINDS = np.array([1, 1, 2, 3, 4, 5, 6, 0, 0, 0, 7, 7, 7, 8, 9, 0])  # of SSE's types 0-15; 0: left out


@dataclass
class Track:
    """One star from birth on: its state at increasing times (Myr)."""

    time: Array
    stage: NDArray[np.int64]
    state: Array  # (times, 3): mass (Msun), log10 luminosity (Lsun), log10 effective temperature (K)

    def begin(self, stage: int) -> float:
        """Time at which a stage begins."""
        return float(self.time[np.searchsorted(self.stage, stage)])

    def at(self, stage: int, fraction: Array | float) -> Array:
        """State at fractions of the duration of a stage, (fractions, 3)."""
        first, last = np.searchsorted(self.stage, (stage, stage + 1))
        rows = slice(first, last) if first < last else slice(first - 1, first)  # a stage that this star skips
        age = self.begin(stage) + np.asarray(fraction) * (self.begin(stage + 1) - self.begin(stage))
        return np.stack([np.interp(age, self.time[rows], column[rows]) for column in self.state.T], axis=-1)

    def at_time(self, time: float) -> Array:
        """State at a time (Myr)."""
        return np.array([np.interp(time, self.time, column) for column in self.state.T])

    def white_dwarf(self, cooling_time: float) -> Array:
        """State a time (Myr) after the last shell was lost."""
        first = np.searchsorted(self.stage, WHITE_DWARF)
        since = self.time[first:] - self.time[first]
        return np.array([np.interp(np.log1p(cooling_time), np.log1p(since), column[first:]) for column in self.state.T])


def settings() -> dict[str, Any]:
    """COSMIC's own default of each flag, but white dwarfs that keep the core of the giant."""
    categories = json.loads((Path(cosmic.__file__).parent / "data" / "cosmic-settings.json").read_text("utf-8"))
    flags = {}
    for setting in next(category for category in categories if category["category"] == "bse")["settings"]:
        options = setting["options"]
        value = next((option for option in options if option.get("default")), options[0])["name"]
        if isinstance(value, str):  # such as "[1.0, 1.0]" or "2.0/21.0,2.0/21.0"
            parts = [part.split("/") for part in value.strip("[]").replace("], [", ",").split(",")]
            numbers = [float(part[0]) / float(part[-1] if len(part) > 1 else 1) for part in parts]
            value = numbers if len(numbers) > 1 else numbers[0]
        if setting["name"] == "natal_kick_array":
            value = [value[:5], value[5:]]
        flags[setting["name"]] = value
    # The other choice, white dwarfs after Han et al. (1995), has 0.46 Msun for all that were born below 1.15 Msun.
    return flags | {"ifflag": 0}


def evolve(masses: Array, metallicity: float, end: Array | float, step: float = 0.0) -> list[Track]:
    """Evolve single stars until ``end`` (Myr), reported every ``step`` or, for 0, at each internal step."""
    n = len(masses)
    stars = InitialBinaryTable.InitialBinaries(
        m1=masses,
        m2=np.zeros(n),
        porb=np.full(n, -1.0),
        ecc=np.full(n, -1.0),
        tphysf=np.broadcast_to(end, n).copy(),
        kstar1=np.where(masses < 0.7, 0, 1),
        kstar2=np.full(n, 15),
        metallicity=np.full(n, metallicity),
    )
    _, table, _, _ = Evolve.evolve(
        initialbinarytable=stars, BSEDict=settings(), SSEDict={"stellar_engine": "sse"}, dtp=step, nproc=1, randomseed=1
    )
    kind = KINDS[table.kstar_1.to_numpy().astype(int)]
    state = np.stack([table.mass_1, np.log10(table.lum_1), np.log10(table.teff_1)], axis=-1)
    rows = [(table.bin_num.to_numpy() == k) & (kind > 0) for k in range(n)]
    return [Track(table.tphys.to_numpy()[row], kind[row], state[row]) for row in rows]


def between(x: float, nodes: Array, values: Array) -> Array:
    """Linear interpolation of rows of ``values`` at ``nodes``, increasing or decreasing."""
    if nodes[0] > nodes[-1]:
        nodes, values = nodes[::-1], values[::-1]
    k = int(np.clip(np.searchsorted(nodes, x) - 1, 0, len(nodes) - 2))
    weight = (x - nodes[k]) / (nodes[k + 1] - nodes[k])
    return (1 - weight) * values[k] + weight * values[k + 1]


def isochrone(
    age: float, low: Array, light: Array, heavy: Array, tracks: dict[str, list[Track]]
) -> tuple[NDArray[np.int64], Array]:
    """Kinds and [initial mass, mass, log L, log T] of the stars of one age (Myr), by increasing initial mass."""
    nodes: list[tuple[int, list[float]]] = []
    giants = [track for track, mass in zip(tracks["light"], light, strict=True) if mass < 6.0]
    log_mass = np.log(light[: len(giants)])
    lifetime = np.log([track.begin(GAP) for track in giants])
    turnoff = float(np.exp(between(np.log(age), lifetime, log_mass[:, None])[0]))
    for mass in LOWEST * (turnoff / LOWEST) ** DWARFS:
        if mass < light[0]:
            states = np.stack([track.at_time(age) for track in tracks["low"]])
            state = between(np.log(mass), np.log(low), states)
        else:
            fraction = min(1.0, age / float(np.exp(np.interp(np.log(mass), log_mass, lifetime))))
            k = int(np.clip(np.searchsorted(log_mass, np.log(mass)) - 1, 0, len(giants) - 2))
            pair = np.stack([star.at(MAIN_SEQUENCE, fraction) for star in giants[k : k + 2]])
            state = between(np.log(mass), log_mass[k : k + 2], pair)
        nodes.append((MAIN_SEQUENCE, [mass, *state]))
    for stage, fractions in STAGES.items():
        begin, end = (np.array([track.begin(s) for track in giants]) for s in (stage, stage + 1))
        states = np.stack([track.at(stage, fractions) for track in giants])
        for k, fraction in enumerate(fractions):
            columns = np.concatenate([log_mass[:, None], states[:, k]], axis=1)
            state = between(np.log(age), np.log(begin + fraction * (end - begin)), columns)
            nodes.append((stage, [float(np.exp(state[0])), *state[1:]]))
    youngest = nodes[-1][1][0]
    birth = np.log([track.begin(WHITE_DWARF) for track in tracks["light"]])
    for mass in youngest * (light[-1] / youngest) ** COOLING:
        k = int(np.clip(np.searchsorted(light, mass) - 1, 0, len(light) - 2))
        cooling = max(0.0, age - float(np.exp(np.interp(np.log(mass), np.log(light), birth))))
        pair = np.stack([star.white_dwarf(cooling) for star in tracks["light"][k : k + 2]])
        nodes.append((WHITE_DWARF, [mass, *between(np.log(mass), np.log(light[k : k + 2]), pair)]))
    final = np.array([track.stage[-1] for track in tracks["heavy"]])
    hole = heavy[np.argmax(final == BLACK_HOLE)]
    for kind, lower, upper in ((NEUTRON_STAR, light[-1], hole), (BLACK_HOLE, hole, LARGEST)):
        chosen = np.flatnonzero(final == kind)
        for mass in lower * (upper / lower) ** HEAVY:
            remnant = np.interp(mass, heavy[chosen], [tracks["heavy"][k].state[-1, 0] for k in chosen])
            nodes.append((kind, [mass, float(remnant), *DARK]))
    return np.array([kind for kind, _ in nodes]), np.array([state for _, state in nodes])


def main() -> None:
    """Write the table."""
    low = np.geomspace(LOWEST, 0.62, 40)
    heavy = np.geomspace(5.0, LARGEST, 240)
    kinds, table = np.empty(0, dtype=int), []
    for metallicity in METALLICITIES:
        remnants = evolve(heavy, metallicity, 2e4, step=2e4)
        heaviest = 0.999 * heavy[np.argmax([track.stage[-1] == NEUTRON_STAR for track in remnants])]  # white dwarf
        light = np.geomspace(0.6, heaviest, 420)
        tracks = {
            "low": evolve(low, metallicity, 2e4),
            "light": evolve(light, metallicity, np.where(light < 0.95, 2e5, 2e4)),
            "heavy": remnants,
        }
        for age in AGES * 1e3:
            kinds, values = isochrone(age, low, light, heavy, tracks)
            table.append(values)
    values = np.array(table).reshape(len(METALLICITIES), len(AGES), len(kinds), 4)
    values[..., 0] = np.maximum.accumulate(values[..., 0], axis=-1)
    if not np.isfinite(values).all():
        raise ValueError("the table has a hole")
    out = Path(__file__).parent / "data" / "stars.npz"
    np.savez_compressed(
        out, metallicity=np.array(METALLICITIES), age=AGES, kind=kinds.astype(np.int8), values=values.astype(np.float32)
    )
    print(out, values.shape, f"{out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
