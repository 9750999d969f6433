"""The photos that scikit-image's package carries, with queries written by hand before any model had seen them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from workers.data.corpus import DataMissing

SOURCE = "scikit-image==0.26.0"
# Files that answer, an English and a Chinese query.
QUERIES = (
    (("astronaut.png",), "an astronaut in an orange suit", "穿橙色宇航服的宇航员"),
    (("brick.png",), "a wall of bricks", "砖墙"),
    (("camera.png",), "a photographer with a camera on a tripod", "拿着相机的摄影师"),
    (("cell.png",), "a cell under the microscope", "显微镜下的细胞"),
    (("chelsea.png",), "a cat", "一只猫"),
    (("chessboard_GRAY.png", "chessboard_RGB.png"), "a chessboard", "国际象棋棋盘"),
    (("clock_motion.png",), "a blurred clock", "模糊的时钟"),
    (("coffee.png",), "a cup of coffee", "一杯咖啡"),
    (("coins.png",), "old coins", "古老的硬币"),
    (("color.png",), "all the colours of the rainbow", "彩虹的颜色"),
    (("grass.png",), "grass", "草地"),
    (("gravel.png",), "gravel and small stones", "碎石"),
    (("horse.png",), "a horse", "一匹马"),
    (("hubble_deep_field.jpg",), "galaxies and stars in space", "太空中的星系"),
    (("ihc.png",), "stained tissue for a medical diagnosis", "染色的组织切片"),
    (("logo.png",), "a logo with a snake", "蛇的标志"),
    (("microaneurysms.png",), "small blood vessels", "细小的血管"),
    (("moon.png",), "craters of the moon", "月球表面"),
    (("motorcycle_left.png", "motorcycle_right.png"), "a red motorcycle", "红色摩托车"),
    (("page.png",), "a page of a book", "一页书"),
    (("phantom.png",), "a scan of the brain", "大脑扫描"),
    (("retina.jpg",), "the inside of an eye", "眼睛的视网膜"),
    (("rocket.jpg",), "a rocket before it starts", "发射前的火箭"),
    (("text.png",), "writing by hand", "手写的文字"),
)


def load() -> dict[str, Image.Image]:
    """By file name, RGB. Raises DataMissing."""
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise DataMissing(f"The photos are missing: run pip install --no-deps {SOURCE}.")
    folder = Path(found.submodule_search_locations[0]) / "data"
    names = sorted(name for files, _, _ in QUERIES for name in files)
    return {name: Image.open(folder / name).convert("RGB") for name in names}
