"""Makes the small inputs beside this file: mocks and phantoms, drawn by the project's own code from fixed seeds.

Reads the sections nbody and cluster_pictures of params.yaml. Run it from the project's folder:
python -m examples.make_examples
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from pipeline.draw_cluster_pictures import picture
from pipeline.nbody.trajectories import simulate_block
from pipeline.settings.load import Params, load_params
from pipeline.simulation.clusters.star_cluster import ClusterParameters, draw_cluster
from pipeline.simulation.clusters.stars import flux, flux_of_magnitude
from pipeline.simulation.clusters.telescope import PIXEL, bin_stars, blur, gaussian_psf, random_view, sky_position
from pipeline.simulation.radiograph import radiograph

FOLDER = Path(__file__).parent
SEED = 2026  # not that of the pipeline's own data
PIXELS, MARGIN = 160, 24  # of the flux map, and beyond its edges for the wings of the point-spread function
PSF_SIGMA = 4.0  # pixels, of the telescope in params.yaml
DISTANCE = 25.0  # kpc
SURVEY_PIXELS, SURVEY_PIXEL, SURVEY_FWHM = 112, 0.4, 0.9  # of the two bands; arcsec
SURVEY_NOISE = 0.003  # nanomaggies in a pixel
COLOUR = 0.55  # g - r
CLUSTER = ClusterParameters(
    initial_stars=120_000,
    age_gyr=11.5,
    metallicity=5e-4,
    orbit_kpc=20.0,
    half_mass_radius_pc=8.0,
    w0=5.0,
    truncation=1.5,
    neutron_stars=0.05,
    black_holes=0.02,
)


def main(folder: Path = FOLDER) -> None:
    """Write all of them."""
    params = load_params(FOLDER.parent / "params.yaml")
    flux_map(folder / "mock_cluster_flux.fits")
    Image.fromarray(radiograph(np.random.default_rng(SEED), 256, covid=False)).save(folder / "lung_phantom.png")
    image = picture(np.random.default_rng(SEED), params.cluster_pictures)
    Image.fromarray(image).save(folder / "mock_cluster_picture.png")
    systems(params, folder / "nbody_systems.csv")
    star_clusters(folder / "star_clusters")
    two_bands(folder)
    dicom(folder / "lung_phantom.dcm")


def flux_map(path: Path) -> None:
    """A mock globular cluster as a finished V map, (160, 160), with what is true of it in the header."""
    rng = np.random.default_rng(SEED)
    cluster = draw_cluster(rng, CLUSTER)
    offset = sky_position(cluster.position, random_view(rng), DISTANCE, np.zeros(2))
    weight = np.stack([cluster.luminosity_v, cluster.mass])
    light, mass = bin_stars(offset, weight, PIXELS + 2 * MARGIN)
    seen = blur(np.asarray(flux(light, DISTANCE), float), gaussian_psf(PSF_SIGMA), PIXELS)
    header = sky(PIXELS, PIXEL)
    field = mass[MARGIN:-MARGIN, MARGIN:-MARGIN].sum()
    for card, value, comment in (
        ("OBJECT", "mock cluster", "a King-type model, not a real cluster"),
        ("BUNIT", "log10(Lsun/kpc2)", "of F = L_V / (4 pi D^2) in a pixel"),
        ("FILTER", "V", ""),
        ("PSFFWHM", round(PSF_SIGMA * PIXEL * 2.3548, 3), "[arcsec] width of a star"),
        ("TRUEDIST", DISTANCE, "[kpc] true distance; no network reads it"),
        ("TRUEAGE", CLUSTER.age_gyr, "[Gyr] true age"),
        ("TRUEMASS", round(float(field)), "[Msun] true mass in the field"),
        ("TRUEM_L", round(float(field / light[MARGIN:-MARGIN, MARGIN:-MARGIN].sum()), 2), "[Msun/Lsun]"),
    ):
        header[card] = (value, comment)
    log_flux = np.log10(np.maximum(seen, 1e-8)).astype(np.float32)
    fits.writeto(path, log_flux, header, overwrite=True)


def two_bands(folder: Path) -> None:
    """The same cluster as a survey delivers it: g and r in a file each, nanomaggies in pixels of 0.4 arcsec, noise.

    All its light has one colour, and g and r that give back V by V = g - 0.5784 (g - r) - 0.0038 (Lupton 2005).
    """
    rng = np.random.default_rng(SEED)
    cluster = draw_cluster(rng, CLUSTER)
    offset = sky_position(cluster.position, random_view(rng), DISTANCE, np.zeros(2))
    light = bin_stars(offset, cluster.luminosity_v[None], SURVEY_PIXELS + 2 * MARGIN, SURVEY_PIXEL)[0]
    sigma = SURVEY_FWHM / 2.3548 / SURVEY_PIXEL
    seen = blur(np.asarray(flux(light, DISTANCE), float), gaussian_psf(sigma), SURVEY_PIXELS)
    g = 0.5784 * COLOUR + 0.0038  # less V
    for band, magnitude in (("g", g), ("r", g - COLOUR)):
        counts = seen * 10 ** (-0.4 * magnitude) / flux_of_magnitude(22.5)
        counts += SURVEY_NOISE * rng.standard_normal(counts.shape)
        header = sky(SURVEY_PIXELS, SURVEY_PIXEL)
        header["OBJECT"] = ("mock cluster", "a King-type model, not a real cluster")
        header["BUNIT"] = ("nanomaggy", "magnitude 22.5 each")
        header["FILTER"] = f"SDSS {band}"
        header["PSFFWHM"] = (SURVEY_FWHM, "[arcsec] width of a star")
        header["EBV"] = (0.0, "[mag] there is no dust in front")
        fits.writeto(folder / f"mock_cluster_{band}.fits", counts.astype(np.float32), header, overwrite=True)


def sky(pixels: int, pixel: float) -> fits.Header:
    """WCS of a square picture somewhere on the sky."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [250.0, 30.0]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(pixels + 1) / 2] * 2, [-pixel / 3600, pixel / 3600]
    return wcs.to_header()


def dicom(path: Path) -> None:
    """The phantom as a detector writes it: 12 bits, and dark where a film is bright (MONOCHROME1)."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, RLELossless

    pixels = 4095 - 16 * radiograph(np.random.default_rng(SEED), 256, covid=False).astype(np.uint16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID("2.25.2026")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.Modality, image.PatientID, image.BodyPartExamined = "DX", "PHANTOM", "CHEST"
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME1", 0
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelData = pixels.tobytes()
    image.compress(RLELossless, generate_instance_uid=False)
    image.save_as(path, enforce_file_format=True)


def star_clusters(folder: Path) -> None:
    """Tables of the stars of three small clusters, and a catalogue that looks at each from four distances."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number, split in enumerate(("train", "val", "test")):
        rng = np.random.default_rng([SEED, number])
        parameters = replace(CLUSTER, initial_stars=1500, age_gyr=12.0 - 3 * number, orbit_kpc=1000.0)
        cluster = draw_cluster(rng, parameters)
        stars = pl.DataFrame(dict(zip("xyz", cluster.position, strict=True)))
        stars = stars.with_columns(mass=cluster.mass, luminosity=cluster.luminosity_v)
        stars.select(pl.all().round_sig_figs(4)).write_csv(folder / f"{split}.csv")
        for distance in (10.0, 20.0, 40.0, 80.0):
            rows.append((f"{split}.csv", parameters.age_gyr, distance, split))
    columns = ("star_file", "age_gyr", "distance_kpc", "split")
    pl.DataFrame(rows, columns, orient="row").write_csv(folder / "catalogue.csv")


def systems(params: Params, path: Path) -> None:
    """Three systems of stars that the pipeline's simulations do not hold, from t = 0 on."""
    nbody = params.nbody.model_copy(update={"n_simulations": 3, "seed": SEED})
    simulate_block(nbody, range(3), path)
    rows = path.read_text()
    path.write_text(f"N_sim,N_star,time_step,x,y,z,vx,vy,vz\n{rows}")
    path.with_suffix(".npy").unlink()  # their errors


if __name__ == "__main__":
    main()
