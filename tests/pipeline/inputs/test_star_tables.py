"""Tables as people's codes write them: the same numbers whatever the spelling, or one line that names the fault."""

from pathlib import Path
from typing import Any

import astropy.units as u
import h5py
import numpy as np
import polars as pl
import pytest
from astropy.constants import G
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.inputs.star_tables import NAMES, read_star_table

TABLE = pl.DataFrame(
    {
        "N_sim": [0, 0, 0, 0, 1, 1, 1, 1],
        "N_star": [0, 1, 0, 1, 0, 1, 0, 1],
        "time_step": [0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5],
        **{name: [(k + 1) * 10.0**j * (-1) ** k / 8 for k in range(8)] for j, name in enumerate(("x", "y", "z"))},
        **{name: [(k - 3.5) / 10.0**j for k in range(8)] for j, name in enumerate(("vx", "vy", "vz"))},
        "mass": [1.5, 2.5, 1.5, 2.5, 1.25, 2.25, 1.25, 2.25],
    }
).with_columns(pl.all().cast(pl.Float64))


def numbers(path: Path, **options: Any) -> pl.DataFrame:
    return read_star_table(path, **options).frame


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """The table with other names, order, separators, number formats, line ends and extra columns."""
    separator = draw(st.sampled_from([",", ";", "\t", " "]))
    comma = separator != "," and draw(st.booleans())
    exponent = draw(st.sampled_from(["e", "E", "D", "d"]))
    columns = draw(st.permutations([*TABLE.columns, "colour"]))
    names = {ours: draw(st.sampled_from(NAMES[ours])) for ours in TABLE.columns} | {"colour": "B_V"}
    dressed = {
        ours: draw(st.sampled_from([name, name.upper(), f'"{name}"', *([] if separator == " " else [f" {name} "])]))
        for ours, name in names.items()
    }
    rows = [separator.join(dressed[name] for name in columns)]
    for row in draw(st.permutations(TABLE.with_columns(colour=pl.lit(0.5)).to_dicts())):
        texts = []
        for name in columns:
            text = str(int(row[name])) if name.startswith("N_") else f"{row[name]:.17e}".replace("e", exponent)
            texts.append(text.replace(".", ",") if comma else text)
        rows.append(separator.join(texts))
        if draw(st.booleans()):
            rows.append("")
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return draw(st.sampled_from(["", "\ufeff"])).encode() + (end.join(rows) + end).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=spelled())
def test_spelling_does_not_matter(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    table = read_star_table(path)
    np.testing.assert_allclose(table.frame.to_numpy(), TABLE.to_numpy(), rtol=1e-15)
    assert table.frame.columns == TABLE.columns
    assert table.warnings == ["columns left out: B_V"]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_least_that_one_must_say(tmp_path: Path) -> None:
    path = written(tmp_path / "one.csv", "x,y,z,vx,vy,vz\n1,2,3,4,5,6\n7,8,9,10,11,12\n")
    found = numbers(path)
    assert found["N_sim"].to_list() == [0, 0] and found["time_step"].to_list() == [0, 0]
    assert found["N_star"].to_list() == [0, 1] and found["vz"].to_list() == [6, 12]


def test_columns_of_numpy_savetxt_and_names_of_stars(tmp_path: Path) -> None:
    text = "# a run of mine\n# name t x y z vx vy vz\nSun 0 1 2 3 4 5 6\nEarth 0 7 8 9 10 11 12\n"
    found = numbers(written(tmp_path / "stars.txt", text))
    assert found["x"].to_list() == [7, 1], "Earth comes before the Sun"


def test_id_is_a_star_beside_a_simulation_and_of_two_names_of_a_star_one_is_left_out(tmp_path: Path) -> None:
    table = read_star_table(written(tmp_path / "a.csv", "run,id,name,x,y,z,vx,vy,vz\n3,7,a,1,2,3,4,5,6\n"))
    assert table.frame.row(0)[:2] == (3, 7) and table.warnings == ["columns left out: name"]


def test_units_are_converted_and_those_in_the_header_are_told(tmp_path: Path) -> None:
    text = "t [Myr],x [pc],y [pc],z [pc],vx [km/s],vy [km/s],vz [km/s],m\n1,2,3,4,5,6,7,8\n"
    path = written(tmp_path / "a.csv", text)
    found = numbers(path, units="pc Msun Myr km/s").row(0, named=True)
    time = ((u.pc**3 / (G * u.Msun)) ** 0.5).to(u.Myr).value
    assert found["time_step"] == pytest.approx(1 / time, rel=1e-12)
    assert found["vx"] == pytest.approx(5 * (u.km / u.s).to(u.pc / u.Myr) * time, rel=1e-12)
    assert (found["x"], found["mass"]) == (2, 8)
    assert "[Myr]" in read_star_table(path).warnings[0]


def test_parquet(tmp_path: Path) -> None:
    TABLE.rename({"x": "pos_x", "N_sim": "run"}).sample(fraction=1, shuffle=True, seed=1).write_parquet(
        tmp_path / "a.pq"
    )
    assert numbers(tmp_path / "a.pq").equals(TABLE)


# --- AMUSE ---------------------------------------------------------------------------------------------------------

LENGTH, MASS, TIME = (f"system.get('S.I.').base('{what}')" for what in ("length", "mass", "time"))
PARSEC, SOLAR_MASS, MEGAYEAR = u.pc.to(u.m), u.Msun.to(u.kg), u.Myr.to(u.s)
AMUSE_UNITS = {
    **dict.fromkeys("xyz", (f"({PARSEC!r} * {LENGTH})", 1.0)),
    **{name: (f"((1000.0 * {LENGTH}) * ({TIME}**-1))", 1.0) for name in ("vx", "vy", "vz")},
    "mass": (f"({SOLAR_MASS!r} * {MASS})", 1.0),
    "radius": (LENGTH, 1.0),
}


def write_amuse(path: Path, states: list[pl.DataFrame], units: dict[str, Any], time_unit: str) -> None:
    """As amuse.io.write_set_to_file(..., 'hdf5', version='2.0') lays a history of particles out."""
    with h5py.File(path, "w") as file:
        file.create_group("AMUSE_INF").attrs["version"] = "2.0"
        data = file.create_group("data")
        for k, state in enumerate(states):
            group = data.create_group(format(k + 1, "010d"))
            group.attrs["type"] = "particles"
            group.attrs["number_of_particles"] = len(state)
            group.attrs["class_of_the_particles"] = np.void(b"not read")
            group.attrs["timestamp"] = state["time_step"][0]
            group.attrs["timestamp_unit"] = time_unit
            group.create_dataset("keys", data=(1 << 63) + state["N_star"].to_numpy().astype(np.uint64))
            attributes = group.create_group("attributes")
            for name, (unit, factor) in units.items():
                values = state[name] if name in state.columns else state["x"]
                attributes.create_dataset(name, data=values.to_numpy() * factor).attrs["units"] = unit


def test_amuse_brings_its_units(tmp_path: Path) -> None:
    one = TABLE.filter(pl.col("N_sim") == 1)
    states = one.partition_by("time_step", maintain_order=True)
    states[1] = states[1].reverse()
    write_amuse(tmp_path / "a.hdf5", states, AMUSE_UNITS, f"({MEGAYEAR!r} * {TIME})")
    table = read_star_table(tmp_path / "a.hdf5")
    assert table.warnings == ["columns left out: radius"] and table.units.name == "pc Msun Myr km/s"
    as_csv = tmp_path / "a.csv"
    one.with_columns(N_sim=pl.lit(0.0)).write_csv(as_csv)
    expected = numbers(as_csv, units="pc Msun Myr km/s")
    np.testing.assert_allclose(table.frame.to_numpy(), expected.to_numpy(), rtol=1e-12)


def test_amuse_in_nbody_units(tmp_path: Path) -> None:
    base = "system.get('nbody').base('{}')"
    length, time, mass = (base.format(what) for what in ("length", "time", "mass"))
    units = dict.fromkeys("xyz", (length, 1.0)) | {"mass": (mass, 1.0)}
    units |= dict.fromkeys(("vx", "vy", "vz"), (f"({length} * ({time}**-1))", 1.0))
    one = TABLE.filter(pl.col("N_sim") == 0)
    write_amuse(tmp_path / "a.hdf5", one.partition_by("time_step", maintain_order=True), units, time)
    assert numbers(tmp_path / "a.hdf5").equals(one)


def test_amuse_mistakes(tmp_path: Path) -> None:
    units = AMUSE_UNITS | {"x": (f"(1.0 * {TIME})", 1.0)}
    states = TABLE.filter(pl.col("N_sim") == 0).partition_by("time_step", maintain_order=True)
    write_amuse(tmp_path / "a.hdf5", states, units, TIME)
    with pytest.raises(InputError, match=r"a\.hdf5: x has the unit"):
        read_star_table(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_group("mine").create_dataset("x", data=[1.0])
    with pytest.raises(InputError, match="no file of AMUSE"):
        read_star_table(tmp_path / "b.h5")
    (tmp_path / "c.h5").write_bytes((tmp_path / "a.hdf5").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"c\.h5: cannot read"):
        read_star_table(tmp_path / "c.h5")


# --- mistakes ------------------------------------------------------------------------------------------------------

ROW = "0,0,0,1,2,3,4,5,6\n"
HEADER = "sim,star,t,x,y,z,vx,vy,vz\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER.replace("vy", "speed") + ROW, "column vy is missing in line 1 (sim, star, t, x, y, z, vx, speed, vz)"),
        (HEADER.replace("vy", "x") + ROW, "column x is there twice"),
        (HEADER.replace("star", "pos_x") + ROW, "columns x and pos_x both mean x"),
        (HEADER + "\n" + ROW + "0,1,0,1,2,far,4,5,6\n", "line 4 has 'far', no number, in column z"),
        (HEADER + ROW + "0,1,0,1,2,NaN,4,5,6\n", "line 3 has no number in column z"),
        (HEADER + ROW + "0,1,0,1,2,,4,5,6\n", "line 3 has no"),
        (HEADER + ROW + "0,1,0,1,2", "line 3 has no number in column z"),
        (HEADER + ROW + "0,1,0,1,2,3,4,5,6,7\n", "row 2 below the header has more values than the 9 columns"),
        (HEADER + ROW + ROW, "line 3 has a star a second time at one time"),
        (HEADER.replace("sim", "m") + ROW, "line 2: a mass is not positive"),
        (HEADER.replace("sim", "m").replace("star", "q") + ROW, "column charge is one too many"),
        (HEADER, "no row below the header"),
        ("", "no table in it"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_star_table(written(tmp_path / "mine.csv", text))
    assert words in str(error.value) and "mine.csv" in str(error.value) and "\n" not in str(error.value)


def test_no_end_of_the_last_line_is_told(tmp_path: Path) -> None:
    assert "if the file is cut" in read_star_table(written(tmp_path / "a.csv", HEADER + ROW.strip())).warnings[0]


def test_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(bytes(range(128, 256)))
    for name in ("a.csv", "absent.csv"):
        with pytest.raises(InputError, match=name):
            read_star_table(tmp_path / name)


def test_units_that_another_program_left_in_parquet_are_told(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    pl.DataFrame({name: [0.0, 1.0] for name in ("x", "y", "z", "vx", "vy", "vz")}).write_parquet(
        path, metadata={"units": "pc Msun Myr"}
    )
    told = "units in the metadata (pc Msun Myr) are not read; state them as units"
    assert told in read_star_table(path).warnings
    assert told not in read_star_table(path, "pc Msun Myr").warnings


@pytest.mark.parametrize(
    "names", [["x"], ["scalar/x"], ["PartType1/Coordinates"], ["a/b/attributes/x"], ["a/b/attributes/x", "a/b/keys"]]
)
def test_hdf5_of_other_programs_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "theirs.hdf5"
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros((3, 3))
    with pytest.raises(InputError, match=r"theirs\.hdf5: (no file of AMUSE's particles|0 sets of particles)"):
        read_star_table(path)


def test_names_of_simulations_and_stars_come_back(tmp_path: Path) -> None:
    """By alphabet, *10 is the second star and *2 the third."""
    path = tmp_path / "named.csv"
    stars = ["*2", "*10", "*1"]
    rows = [f"{run},{star},0,{k},0,0,0,0,0" for run in ("b", "a") for k, star in enumerate(stars)]
    path.write_text("\n".join(["run,star,t,x,y,z,vx,vy,vz", *rows]) + "\n")
    table = read_star_table(path)
    assert table.frame["N_sim"].to_list() == [0, 0, 0, 1, 1, 1]
    named = table.as_named(table.frame)
    assert named["N_sim"].to_list() == ["a"] * 3 + ["b"] * 3
    assert dict(zip(named["N_star"][:3], named["x"][:3], strict=True)) == {"*1": 2, "*10": 1, "*2": 0}
