"""Pictures by address: rows of a manifest, fetched by pooch into a cache that all sets and runs share."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import InputError
from pipeline.inputs.metadata import Table

COLUMNS = ("set", "label", "file", "url", "sha256", "bytes", "patient", "licence", "credit")
CACHE = "STAR_CLUSTER_CACHE"  # the environment's name of another folder
DOWNLOADS = 4  # at a time
RETRIES = 3
TIMEOUT = 30.0  # seconds without a byte


def is_manifest(table: Table) -> bool:
    """Whether a table names pictures by address and not by file alone."""
    return "set" in table.columns or "sha256" in table.columns


def rows_of(table: Table, name: str) -> list[dict[str, str]]:
    """The rows of one set, checked.

    Raises:
        InputError: a column is missing, or a row is cut or wrong.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise InputError(f"{table.name}: column {missing[0]} is missing; a manifest has {','.join(COLUMNS)}")
    rows = [row for row in table.rows if row["set"] == name]
    if not rows:
        raise InputError(f"{table.name}: no row of set {name}; add some or choose another images.{name}.source")
    for number, row in enumerate(rows, 1):
        if not re.fullmatch("[0-9a-f]{64}", row["sha256"]) or not re.match("https?://", row["url"]):
            raise InputError(f"{table.name}: row {number} of set {name} has no http address or no sha256; mend it")
    return rows


def fetch(table: Table, rows: list[dict[str, str]]) -> Iterator[Path]:
    """The picture of each row, out of the cache or from its address, checked against its SHA-256.

    Raises:
        InputError: one cannot be had; the next run goes on from there.
    """
    from concurrent.futures import ThreadPoolExecutor

    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    names = [row["sha256"] for row in rows]
    cache = pooch.create(
        pooch.os_cache("star-cluster-pipeline"),
        base_url="",
        registry={name: f"sha256:{name}" for name in names},
        urls={row["sha256"]: row["url"] for row in rows},
        env=CACHE,
        retry_if_failed=RETRIES,
    )
    downloader = pooch.HTTPDownloader(chunk_size=2**16, timeout=TIMEOUT)

    def fetched(row: dict[str, str]) -> Path:
        try:
            return Path(cache.fetch(row["sha256"], downloader=downloader))
        except (requests.RequestException, ValueError) as error:
            reason = str(error)[:200]
            raise InputError(
                f"{table.name}: {row['url']} cannot be had ({reason}); check the network and run it again, "
                "or remove the row"
            ) from error
        except OSError as error:
            raise InputError(
                f"{cache.abspath}: the cache of downloads cannot be written ({error}); set {CACHE} to another folder"
            ) from error

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        yield from pool.map(fetched, rows)  # after a failure it asks for no more
