"""Pictures as a vision model wants them, by the settings of Hugging Face's preprocessor_config.json."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from contracts.messages import ErrorType
from workers.engine.intake import Refused

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_BYTES = 10 * 2**20  # of one encoded picture
MAX_PIXELS = 50_000_000  # a small file can be a huge picture

Pixels = NDArray[np.float32]  # [3, height, width]


def decode(content: str, index: int) -> Image.Image:
    """A picture from base64 or a data address, upright, RGB, on white where it is transparent, as people see it. Raises
    Refused with what is wrong with it."""
    if content.startswith("data:"):
        content = content.partition(",")[2]
    if len(content) > MAX_BYTES * 4 // 3 + 4:
        raise _refused(index, f"is larger than {MAX_BYTES // 2**20} MB")
    try:
        raw = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise _refused(index, "is not base64") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is below
            image = Image.open(io.BytesIO(raw), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise _refused(index, f"has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read")
            return _on_white(ImageOps.exif_transpose(image))
    except Refused:
        raise
    except Image.DecompressionBombError:
        raise _refused(index, f"has far more than the {MAX_PIXELS:,} pixels that are read") from None
    except Exception:  # noqa: BLE001  Pillow raises whatever the decoder raises
        raise _refused(index, f"is not a readable picture; known are {', '.join(FORMATS)}") from None


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def cropped(image: Image.Image, crop: Any, index: int) -> Image.Image:
    """The part of it in [left, top, right, bottom], shares of its sides; the whole without one. Raises Refused."""
    if crop is None:
        return image
    numbers = isinstance(crop, list) and len(crop) == 4 and all(type(one) in (int, float) for one in crop)
    if not numbers or not (0 <= crop[0] < crop[2] <= 1 and 0 <= crop[1] < crop[3] <= 1):
        message = f"crops.{index}: must be left, top, right and bottom between 0 and 1"
        raise Refused(ErrorType.INVALID_REQUEST, message, param=f"crops.{index}", index=index)
    sides = [round(share * side) for share, side in zip(crop, image.size * 2, strict=True)]
    left, top = min(sides[0], image.width - 1), min(sides[1], image.height - 1)
    return image.crop((left, top, max(sides[2], left + 1), max(sides[3], top + 1)))


def _refused(index: int, reason: str) -> Refused:
    return Refused(ErrorType.INVALID_REQUEST, f"images.{index}: {reason}", param=f"images.{index}", index=index)


class ImageProcessor:
    """Resize, crop, rescale, normalise. Raises ValueError for settings that cannot be used."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._resize = settings.get("do_resize", True)
        self._size = settings.get("size") or {}
        self._resample = Image.Resampling(settings.get("resample", Image.Resampling.BICUBIC))
        self._crop = _height_width(settings.get("crop_size")) if settings.get("do_center_crop") else None
        self._factor = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
        normalize = settings.get("do_normalize", True)
        self._mean = np.array(settings["image_mean"] if normalize else [0.0] * 3, np.float32)[:, None, None]
        self._std = np.array(settings["image_std"] if normalize else [1.0] * 3, np.float32)[:, None, None]
        self._check()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        return self._crop or _height_width(self._size)

    def __call__(self, image: Image.Image) -> Pixels:
        if self._resize:
            height, width = self._target(image)
            image = image.resize((width, height), self._resample)
        if self._crop:
            image = _center_crop(image, *self._crop)
        pixels = np.asarray(image, np.float32).transpose(2, 0, 1) * np.float32(self._factor)
        return np.ascontiguousarray((pixels - self._mean) / self._std)

    def _target(self, image: Image.Image) -> tuple[int, int]:
        shortest = self._size.get("shortest_edge") if isinstance(self._size, dict) else None
        if not shortest:
            return _height_width(self._size)
        if image.width <= image.height:
            return int(shortest * image.height / image.width), shortest
        return shortest, int(shortest * image.width / image.height)

    def _check(self) -> None:
        """Every picture must come out in one size, or they could not share a batch."""
        if not self._resize and not self._crop:
            raise ValueError("the processor neither resizes nor crops: pictures would differ in size")
        _ = self.shape


def _height_width(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    try:
        return int(size["height"]), int(size["width"])
    except (KeyError, TypeError):
        raise ValueError(f"the processor's size {size!r} does not fix height and width") from None


def _center_crop(image: Image.Image, height: int, width: int) -> Image.Image:
    """Cut around the middle; what the picture lacks is black."""
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
