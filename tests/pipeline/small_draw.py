"""A little of what every data stage draws, and the hashes of its files: run by test_same_bytes in other environments.

``python tests/pipeline/small_draw.py FOLDER`` prints them; where a change is meant, they go to small_draw.json.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = {
    "nbody.n_simulations": 64,
    "clusters.n_train": 8,
    "clusters.n_val": 4,
    "clusters.n_calibration": 1,
    "clusters.n_test": 1,
    "cluster_pictures.n_pictures": 1,
    "star_fields.n_fields": 20,
    "radiographs.n_healthy": 1,
    "radiographs.n_covid": 1,
    "runtime.workers": 1,
    "runtime.parallel_backend": "loky",
}
STAGES = (
    "generate_nbody",
    "import_nbody",
    "generate_clusters",
    "import_clusters",
    "preprocess_maps",
    "draw_cluster_pictures",
    "draw_star_fields",
    "draw_radiographs",
)


def draw(folder: Path) -> dict[str, str]:
    """Run every stage in a folder; hash of each file."""
    from conftest import edit_params, run_stage

    os.chdir(folder)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    edit_params(folder, SMALL)
    for stage in STAGES:
        run_stage(stage)
    return hashes(folder)


def hashes(folder: Path) -> dict[str, str]:
    """Of every file that the stages have written."""
    files = sorted(path for out in ("data", "reports") for path in (folder / out).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    print(json.dumps(draw(Path(sys.argv[1]).resolve()), indent=2))
