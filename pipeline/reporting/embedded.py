"""Files and figures as data URIs: they stand in the page itself, which can be sent alone."""

import base64
import io
from pathlib import Path
from typing import Any

LOSSLESS = {"lossless": True, "quality": 60, "method": 4}  # WebP
PHOTO = {"quality": 90, "method": 4}
HEAVY = 250_000  # bytes; a figure that needs more is mostly noise, which lossless WebP cannot make smaller
TYPES = {".json": "application/json", ".csv": "text/csv"}


def figure_uri(figure: Any, **compression: Any) -> str:
    """A figure as a data URI."""
    import matplotlib.pyplot as plt
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    return image_uri(Image.open(buffer), **compression)


def image_uri(image: Any, **compression: Any) -> str:
    """A picture as a data URI of WebP: every pixel as it is, unless ``compression`` says otherwise or it is heavy."""
    content = webp(image, **(compression or LOSSLESS))
    if not compression and len(content) > HEAVY:
        content = webp(image, **PHOTO)
    return data_uri(content, "image/webp")


def webp(image: Any, **compression: Any) -> bytes:
    """A picture's bytes as WebP."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "WEBP", **compression)
    return buffer.getvalue()


def download(path: Path, label: str, model: str) -> dict[str, Any]:
    """A file to download from the page: what it is, its name on the reader's machine, its size and data URI."""
    content = path.read_bytes()
    return {
        "label": f"{label} ({path.suffix[1:].upper()}, {-(-len(content) // 1000)} kB)",
        "name": f"{model}-{label.replace(' ', '-')}{path.suffix}",
        "uri": data_uri(content, TYPES[path.suffix]),
    }


def data_uri(content: bytes, media_type: str) -> str:
    """Bytes as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
