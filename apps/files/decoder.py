"""A process that reads pictures for worker-app (decoding.py): what strangers send is decoded here and nowhere else.

It has a limit on memory and a clock for each picture, knows neither database nor network, and is replaced when it dies.
A line of JSON in, {path, folder, keeps_location}, a line out: {"picture": {…}} or {"error": sentence}. It writes
`picture` and `thumbnail` into the folder.
"""

import contextlib
import json
import resource
import signal
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
KINDS = {"MPO": "jpeg", "HEIF": "heic"}  # several pictures in one JPEG: the first is read
THUMBNAIL = 512  # pixels of the longer side: what is shown, and what models look at
DAMAGED = "The file is damaged: it ends too early or holds no picture."
_EXTENSIONS = {"JPEG": ("jpg", "image/jpeg"), "PNG": ("png", "image/png"), "WEBP": ("webp", "image/webp")}
_EXIF_ORIENTATION, _EXIF_GPS, _EXIF_IFD = 0x0112, 0x8825, 0x8769
_EXIF_TAKEN = (0x9003, 0x0132)  # DateTimeOriginal, DateTime


class Unreadable(Exception):
    """Says why, to the person who sent it."""


def read(path: Path, folder: Path, *, most_pixels: int, keeps_location: bool = False) -> dict[str, Any]:
    """Write the picture as it is kept and its thumbnail; what is known of it. Raises Unreadable, or whatever a decoder
    raises for a damaged file."""
    image = _opened(path, most_pixels)
    kind = image.format or ""
    exif = image.getexif()
    taken_at = _taken_at(exif)
    kept = _kept_format(kind, image)
    upright = exif.get(_EXIF_ORIENTATION, 1) == 1
    try:
        # Smaller from the start where nothing but the thumbnail is made of the pixels.
        if kept == "JPEG" and kind == "JPEG" and upright:
            width, height = image.size
            _copy_jpeg(path, folder / "picture", keeps_location=keeps_location)
            image.draft("RGB", (THUMBNAIL, THUMBNAIL))
            image.load()
        else:
            image.load()
            image = ImageOps.exif_transpose(image)
            width, height = image.size
            _save(image, folder / "picture", kept, exif if keeps_location else None)
        small = _thumbnail(image)
        small.save(folder / "thumbnail", "WEBP", quality=80, method=0)
        fields = small.resize((9, 8), Image.Resampling.BOX)
    finally:
        image.close()
    extension, content_type = _EXTENSIONS[kept]
    return {
        "kind": KINDS.get(kind, kind.lower()), "width": width, "height": height, "taken_at": taken_at,
        "extension": extension, "content_type": content_type, "phash": _phash(fields), "colour": _colour(fields),
    }  # fmt: skip


def _opened(path: Path, most_pixels: int) -> Image.Image:
    with path.open("rb") as file:
        start = file.read(1024)
    if not start:
        raise Unreadable("The file is empty.")
    if start.lstrip()[:5].lower() in (b"<?xml", b"<svg ", b"<svg>", b"<!doc") or b"<svg" in start.lower():
        raise Unreadable("Drawings (SVG) and pages are not read: they can hold scripts. Save it as PNG.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit is below
            image = Image.open(path, formats=[one for one in READ if one in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise Unreadable(f"The picture has far more than the {most_pixels:,} pixels that are read.") from error
    except UnidentifiedImageError as error:
        raise Unreadable(
            "The file is no picture that can be read: JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF."
        ) from (error)
    if image.width * image.height > most_pixels:
        raise Unreadable(f"The picture has {image.width} x {image.height} pixels; at most {most_pixels:,} are read.")
    return image


def _kept_format(kind: str, image: Image.Image) -> str:
    """What every browser shows: the first frame of a moving picture, and without loss what came without loss."""
    if kind in ("JPEG", "MPO"):
        return "JPEG"
    if kind == "WEBP":
        return "WEBP"
    if kind in ("AVIF", "HEIF"):
        return "PNG" if image.mode in ("RGBA", "LA", "PA") else "JPEG"
    return "PNG"


def _save(image: Image.Image, path: Path, kept: str, exif: Image.Exif | None) -> None:
    """Nothing but pixels and colour profile, and on request where it was taken."""
    image.info = {name: value for name, value in image.info.items() if name in ("icc_profile", "transparency")}
    options: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    if exif is not None:
        told = Image.Exif()
        told[_EXIF_GPS] = dict(exif.get_ifd(_EXIF_GPS))
        options["exif"] = told.tobytes()
    if kept == "JPEG":
        image = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")
        options |= {"quality": 92}
    elif kept == "WEBP":
        image = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA")
        options |= {"quality": 90, "method": 2}
    else:
        image = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else image.convert("RGBA")
        options |= {"compress_level": 3}
    image.save(path, kept, **options)


def _copy_jpeg(path: Path, to: Path, *, keeps_location: bool) -> None:
    """The same picture, bit by bit, without what cameras and programs wrote beside it. Raises ValueError."""
    content = path.read_bytes()
    kept, place = [content[:2]], 2
    while True:
        if content[place] != 0xFF:
            raise ValueError("no marker where one has to be")
        marker = content[place + 1]
        if marker == 0xFF:  # fill
            place += 1
            continue
        length = 2 + int.from_bytes(content[place + 2 : place + 4])
        if length < 4 or place + length > len(content):
            raise ValueError("a segment that ends behind the file")
        if marker == 0xDA:  # the picture itself, to the end
            kept.append(content[place:])
            break
        if not _is_told(marker, keeps_location):
            kept.append(content[place : place + length])
        place += length
    to.write_bytes(b"".join(kept))


def _is_told(marker: int, keeps_location: bool) -> bool:
    """Comments and application segments tell, but for JFIF, the colour profile and Adobe's colour space."""
    if marker == 0xE1 and keeps_location:
        return False
    return marker == 0xFE or (0xE0 <= marker <= 0xEF and marker not in (0xE0, 0xE2, 0xEE))


def _thumbnail(image: Image.Image) -> Image.Image:
    """RGB, on white where it is transparent. May be the picture itself, made smaller."""
    if image.mode in ("RGBA", "LA", "PA", "P") or "transparency" in image.info:
        clear = _smaller(image.convert("RGBA"))
        ground = Image.new("RGB", clear.size, "white")
        ground.paste(clear, mask=clear.getchannel("A"))
        return ground
    return _smaller(image if image.mode == "RGB" else image.convert("RGB"))


def _smaller(image: Image.Image) -> Image.Image:
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image


def _phash(fields: Image.Image) -> int:
    """Signed 64 bits: whether each of 8 x 8 fields is brighter than its right neighbour."""
    values = list(fields.convert("L").tobytes())
    bits = 0
    for row in range(8):
        for column in range(8):
            bits = bits << 1 | (values[9 * row + column] > values[9 * row + column + 1])
    return bits - (1 << 64) if bits >= 1 << 63 else bits


def _colour(fields: Image.Image) -> int:
    red, green, blue = fields.resize((1, 1), Image.Resampling.BOX).tobytes()
    return red << 16 | green << 8 | blue


def _taken_at(exif: Image.Exif) -> str | None:
    """ISO 8601; the camera's own clock, taken for UTC."""
    with contextlib.suppress(Exception):  # whatever is written there
        inner = exif.get_ifd(_EXIF_IFD)
        for tag in _EXIF_TAKEN:
            if said := inner.get(tag) or exif.get(tag):
                return datetime.strptime(str(said)[:19], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).isoformat()
    return None


def main() -> None:
    memory, seconds, most_pixels = (int(value) for value in sys.argv[1:4])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = None  # ours is checked before anything is decoded
    with contextlib.suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    for line in sys.stdin:
        asked = json.loads(line)
        signal.alarm(seconds)  # nobody catches it: the process ends
        try:
            found = read(
                Path(asked["path"]), Path(asked["folder"]), most_pixels=most_pixels,
                keeps_location=asked["keeps_location"],
            )  # fmt: skip
            answer: dict[str, Any] = {"picture": found}
        except Unreadable as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "The picture needs more memory than one picture may have."}
        except Exception:  # noqa: BLE001  decoders raise whatever they like
            answer = {"error": DAMAGED}
        signal.alarm(0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
