"""Good files of every kind that is read: what fuzzing and the tests of security begin with."""

import io
import json
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
SIDE = 160  # of a map


def params() -> list[bytes]:
    """The project's own."""
    return [(ROOT / "params.yaml").read_bytes()]


def tables() -> list[bytes]:
    """Star systems: with commas, with spaces and comments, named and with units."""
    rows = [f"0,{star},{time},{star},.5,-1,{time},1e-3,0" for time in range(2) for star in range(3)]
    names = "# run id t x y z vx vy vz m\n1 a 0 1 2 3 4 5 6 1\n1 b 0 3 2 1 4 5 6 1D0\n"
    units = "x [pc];y [pc];z [pc];vx;vy;vz;mass\n1,5;2;3;4;5;6;7\n2,5;2;3;4;5;6;7\n"
    return ["\n".join(("N_sim,N_star,time_step,x,y,z,vx,vy,vz", *rows, "")).encode(), names.encode(), units.encode()]


def parquet_tables() -> list[bytes]:
    """The first of them, plain and packed."""
    import polars as pl

    found = []
    for compression in ("uncompressed", "zstd"):
        buffer = io.BytesIO()
        pl.read_csv(io.BytesIO(tables()[0])).write_parquet(buffer, compression=compression)  # type: ignore[arg-type]
        found.append(buffer.getvalue())
    return found


def amuse_sets() -> list[bytes]:
    """Two states of three particles."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number in (1, 2):
            state = file.create_group(f"data/{number:010d}")
            state["keys"] = np.arange(3, dtype="u8")
            state.attrs["timestamp"] = float(number)
            state.attrs["timestamp_unit"] = "system.get('S.I.').base('time')"
            for name in ("x", "y", "z", "vx", "vy", "vz", "mass"):
                unit = {"mass": "mass"}.get(name, "length" if len(name) == 1 else "length/time")
                column = state.create_dataset(f"attributes/{name}", data=np.arange(3.0) + 1)
                column.attrs["units"] = " / ".join(f"system.get('S.I.').base('{part}')" for part in unit.split("/"))
    return [buffer.getvalue()]


def catalogues() -> list[bytes]:
    """Tables of stars of twenty clusters, and images with splits."""
    stars = "".join(f"{number}.csv,{1 + number / 9:.3f},5\n" for number in range(20))
    splits = [split for split in ("train", "val", "test", "calibration") for _ in range(5)]
    images = "".join(f"{n},c{n},{split},l{n}.npy,m{n}.npy,2.5,8\n" for n, split in enumerate(splits))
    return [
        f"star_file,age_gyr,distance_kpc\n{stars}".encode(),
        f"map,cluster,split,light_file,mass_file,age_gyr,distance_kpc\n{images}".encode(),
    ]


def picture(kind: str, mode: str = "L", side: int = 12, **options: Any) -> bytes:
    """A small picture of noise."""
    from PIL import Image

    levels = np.random.default_rng(1).integers(0, 256, (side, side, 4), dtype=np.uint8)
    deep = mode == "I;16"
    image = Image.fromarray(levels.view("<u2")[..., 0]) if deep else Image.fromarray(levels, "RGBA").convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_pictures() -> list[bytes]:
    """Grey, in colour, with a palette, transparent, of 16 bits, interlaced by none of Pillow's means."""
    return [picture("PNG", mode) for mode in ("L", "RGB", "P", "RGBA", "1", "LA", "I;16")]


def pictures() -> list[bytes]:
    """Of all other kinds but DICOM."""
    return [
        picture("JPEG", "RGB"),
        picture("JPEG", "CMYK"),
        picture("JPEG", "L", progressive=True),
        picture("TIFF", "RGB"),
        picture("TIFF", "I;16"),
        picture("TIFF", "L", compression="tiff_lzw"),
        picture("TIFF", "1", compression="group4"),
        picture("BMP", "RGB"),
        picture("BMP", "P"),
        picture("GIF", "P"),
        picture("WEBP", "RGB"),
        picture("WEBP", "RGBA", lossless=True),
    ]


def dicom_pictures() -> list[bytes]:
    """Plain, and of 16 bits with a window."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

    found = []
    for syntax, bits in (
        (ExplicitVRLittleEndian, 8),
        (ExplicitVRLittleEndian, 16),
        (DeflatedExplicitVRLittleEndian, 8),
    ):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = syntax
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.7"), UID("1.2.3")
        dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        dataset.Rows = dataset.Columns = 8
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
            bits,
            bits,
            bits - 1,
            0,
        )
        if bits == 16:
            dataset.WindowCenter, dataset.WindowWidth = "100", "50"
        dataset.PixelData = np.arange(64, dtype=f"u{bits // 8}").tobytes()
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        found.append(buffer.getvalue())
    return found


def log_map() -> np.ndarray:
    """A round cluster, (SIDE, SIDE)."""
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    return (-4 - np.hypot(x, y) / 40 + 0.1 * np.sin(x / 5)).astype(np.float16)


def arrays() -> list[bytes]:
    """A map, and something small."""
    found = []
    for array in (log_map(), np.zeros((2, 3, 3), np.float32), np.arange(4)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def fits_maps() -> list[bytes]:
    """A finished map in coarse pixels, and counts with mask and noise, one compressed by tiles."""
    from astropy.io import fits

    side = 48
    y, x = np.indices((side, side)) - (side - 1) / 2
    counts = (1000 * np.exp(-(x**2 + y**2) / 200) + 50).astype(">i2")
    sky = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 199.1, "CRVAL2": 17.7, "CRPIX1": 24.5, "CRPIX2": 24.5}
    sky |= {"CD1_1": -1 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1 / 3600}
    seen = {"BUNIT": "adu", "FILTER": "V", "MAGZPT": 27.0, "A_V": 0.1, "PSFFWHM": 2.4, "EXPTIME": 10.0}
    header = fits.Header(sky | seen)
    plain = fits.HDUList([fits.PrimaryHDU(counts, header)])
    mask = fits.ImageHDU(np.zeros((side, side), np.uint8), fits.Header(sky), name="DQ")
    noise = fits.ImageHDU(np.ones((side, side), np.float32), fits.Header(sky), name="ERR")
    several = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(counts, header, name="SCI"), mask, noise])
    packed = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts, header, compression_type="RICE_1")])
    found = []
    for hdus in (plain, several, packed):
        buffer = io.BytesIO()
        hdus.writeto(buffer)
        found.append(buffer.getvalue())
    return found


def manifests() -> list[bytes]:
    """A few rows of the project's own, and a table of labels."""
    own = (ROOT / "pipeline/manifests/lungs.csv").read_bytes().splitlines(keepends=True)
    return [b"".join(own[:4]), b"file;label;patient\na.png;ill;1\nb.png;well;2\n"]


def zips() -> list[bytes]:
    """Two labels and a table."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/1.png", "b/2.png"):
            archive.writestr(name, picture("PNG"))
        archive.writestr("table.csv", "file,label\n1.png,a\n2.png,b\n")
    return [buffer.getvalue()]


def tars() -> list[bytes]:
    """The same files, with names of both kinds of long header."""
    found = []
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for name in ("a/1.png", f"b/{'ü' * 120}.png"):
                content = picture("PNG")
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        found.append(buffer.getvalue())
    return found


def checkpoints() -> list[bytes]:
    """An untrained network of the smallest kind, as ``train`` writes it."""
    import torch

    from pipeline.settings.load import load_params
    from pipeline.training.registry import MODELS

    section = load_params(ROOT / "params.yaml").model_section("spectral")
    module = MODELS["spectral"].make_module(section)
    content = {
        "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
        "pytorch-lightning_version": "2.6.6",
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return [buffer.getvalue()]


def weights_archives() -> list[bytes]:
    """Of a checkpoint that is none: hashes are compared, nothing is loaded."""
    content = b"weights"
    contents = {"format": 1, "scale": "default", "sha256": {"models/spectral.ckpt": sha256(content).hexdigest()}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("weights.json", json.dumps(contents))
        archive.writestr("models/spectral.ckpt", content)
    return [buffer.getvalue()]
