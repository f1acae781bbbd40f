"""What `python -m pipeline.predict gnn` is told; imports no torch."""

import argparse
from pathlib import Path

HELP = "Forecast star systems from their first state, and compare with the rest of the file"
SUFFIXES = (".csv", ".txt", ".dat", ".parquet", ".hdf5", ".h5")  # files taken from a folder
COLUMNS = """\
A table has a row for each star at each time, in any order; its names may be written in many ways:
  x y z vx vy vz          positions and velocities; also pos_x, vel_x, ...
  t (time, time_step)     at equal steps, those of the training; none: one state
  star (id, name)         none: numbered in the order of the file
  sim (run, N_sim)        none: one simulation; simulations may have different numbers of stars
  mass (m), charge (q)    where the stars of the training differ
Other columns are left out and named. Comma, semicolon, tab or spaces part the columns.
Writes also the forecast as <name>_forecast.csv with the columns N_sim,N_star,time_step,x,y,z,vx,vy,vz."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tables of star systems, and their units."""
    parser.set_defaults(suffixes=SUFFIXES)
    parser.add_argument(
        "input", nargs="+", type=Path, help="table of star systems (.csv, .parquet, AMUSE's .hdf5), or folder of them"
    )
    parser.add_argument(
        "--units",
        metavar="UNITS",
        help='of table and answers: "pc Msun Myr", "AU Msun yr", "pc Msun km/s", ...; default: G = 1 '
        "(pc, Msun and 14.9 Myr, where the training had units)",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = COLUMNS
