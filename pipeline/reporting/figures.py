"""The figures of a model for the page: pictures and animations, with what is to be seen in words."""

from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.reporting.embedded import data_uri, image_uri


def figures(folder: Path, family: str, captions: dict[str, str]) -> list[dict[str, Any]]:
    """Pictures and animations in the order of the captions, animations first: they are what one looks at.

    Args:
        folder: reports/figures/<model>.
        family: of the model, for the descriptions.
        captions: by name of the file.
    """
    found = [figure(folder, name, caption, descriptions().get(family, {})) for name, caption in captions.items()]
    return sorted(found, key=lambda entry: entry["still"] is None)


def figure(folder: Path, name: str, caption: str, described: dict[str, str]) -> dict[str, Any]:
    """Data URI, size, caption and description; of an animation also its last frame, for readers who want no motion."""
    from PIL import Image

    animation = folder / f"{name}.webp"
    moves = animation.is_file()
    with Image.open(animation if moves else folder / f"{name}.png") as image:
        image.seek(getattr(image, "n_frames", 1) - 1)
        return {
            "name": name,
            "caption": caption,
            "alt": described.get(name, caption),
            "width": image.width,
            "height": image.height,
            "uri": data_uri(animation.read_bytes(), "image/webp") if moves else image_uri(image),
            "still": image_uri(image) if moves else None,
        }


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """What is to be seen in each figure, by family and name, for those who cannot see it."""
    return YAML(typ="safe").load(Path(__file__).with_name("descriptions.yaml"))
