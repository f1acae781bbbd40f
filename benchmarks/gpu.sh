#!/bin/bash
# All that needs a GPU, on a bare machine with one: tests, then throughput; one table, at most eight minutes.
#
#   benchmarks/gpu.sh            with a Python that has the requirements (PYTHON=... names another)
set -u
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python}
export WANDB_MODE=disabled MPLBACKEND=Agg
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "error: torch sees no GPU"; exit 2; }

out=runs/gpu
mkdir -p "$out"
timeout 240 "$python" -m pytest -m gpu tests/gpu -q --durations=0 --junitxml="$out/tests.xml" >"$out/tests.txt" 2>&1
tests=$?
timeout 200 "$python" -m benchmarks.throughput --accelerator gpu >"$out/throughput.txt" 2>&1
throughput=$?

nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
"$python" - "$out/tests.xml" <<'TABLE'
import sys
from pathlib import Path
from xml.etree import ElementTree

if not Path(sys.argv[1]).exists():
    sys.exit("no test has ended; see runs/gpu/tests.txt")
for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
    trouble = [part.tag for part in case if part.tag in ("failure", "error", "skipped")]
    print(f"{trouble[0] if trouble else 'passed':8} {float(case.get('time', 0)):6.1f} s  {case.get('name')}")
TABLE
cat "$out/throughput.txt"
exit $((tests || throughput))
