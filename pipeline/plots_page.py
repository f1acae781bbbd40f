"""Writes the page in which `dvc plots` shows its charts, with Vega's scripts inside: it opens without a network.

DVC's own page fetches them from elsewhere and stays white where it cannot. `.dvc/config` names this one.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import run
from pipeline.outputs import atomic_file

PAGE = Path(".dvc/plots.html")
VEGA_LITE = "5.21"  # DVC's templates are written in version 5
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    {refresh_tag}
    <title>Plots</title>
    <script>SCRIPTS</script>
    <style>
        body { font-family: sans-serif; margin: 1.5em; }
        img { max-width: 100%; }
        .vega-embed { margin-bottom: 1.5em; }
        [id^="reports_"][id$="_json"] { display: none; } /* numbers, of which DVC makes an empty chart */
    </style>
</head>
<body>
    {plot_divs}
</body>
</html>
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.plots_page", description=__doc__)
    parser.parse_args(argv)
    import vl_convert

    scripts = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
    with atomic_file(PAGE) as temporary:
        temporary.write_text(TEMPLATE.replace("SCRIPTS", scripts), encoding="utf-8")


if __name__ == "__main__":
    run(main)
