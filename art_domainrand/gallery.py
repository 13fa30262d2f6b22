"""A contact sheet: one real image as every transform, mixing, corruption and domain changes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from sklearn.datasets import load_sample_image
from torch import Tensor

from art_domainrand.core.files import whole_file
from art_domainrand.core.random import TRIAL, keys_of
from art_domainrand.images import image_pixels, open_image, upright_image
from art_domainrand.randomization import (
    CORRUPTIONS,
    DOMAINS,
    MIXING,
    TRANSFORMS,
    Mixing,
    Pipeline,
    Transform,
    corrupt,
    domain_mapping,
)
from art_domainrand.randomization.core.sampling import keyed_draws, keyed_points

COLUMNS, MARGIN, LABEL, TITLE = 9, 10, 26, 46
"""Tiles side by side, and in pixels the space between them, the height of a label, and that of a section's title."""

DRAWS_TRIED = 16
"""How many draws of a transform are tried; the one that changes the image most is shown."""

Section = tuple[str, dict[str, Tensor]]
"""A title, and under their names images (3, H, W) in [0, 1]."""


def save_gallery(
    path: str | Path, image: str | Path | None = None, names: Sequence[str] | None = None, size: int = 176
) -> int:
    """Draw a labelled contact sheet.

    A transform is shown by the one of 16 draws from its default ranges that changes most; MixUp and CutMix, with
    scikit-learn's photograph of a flower as the second image, by the most even one; a corruption at severity 3, a
    domain at 5. Same arguments, same picture.

    :param path: where it is written, in the format of the suffix.
    :param image: the file of an image, by default a photograph of a temple that comes with scikit-learn; it is turned
        upright, as its EXIF tag says, and the largest square in its middle is shown.
    :param names: some of the names of ``TRANSFORMS``, ``MIXING``, ``CORRUPTIONS`` and ``DOMAINS`` (one in several
        tables is shown from each); None takes all.
    :param size: the side of a tile in pixels, an int >= 16.
    :return: the number of tiles.
    :raises ValueError: for an unknown name, a file that is no image, a ``path`` of unknown format, and another size.
    """
    if Path(path).suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"out must end in .png, .jpg or another suffix of an image, got {str(path)!r}")
    if isinstance(size, bool) or not isinstance(size, int) or size < 16:
        raise ValueError(f"size must be an int >= 16, got {size!r}")
    tables = (TRANSFORMS, MIXING, CORRUPTIONS, DOMAINS)
    known = list(dict.fromkeys(name for table in tables for name in table))
    for name in names or ():
        if name not in known:
            raise ValueError(f"names must be among {known}, got {name!r}")
    wanted = set(names or known)
    x = square_image(image, size)
    sheet = draw_sheet([("Image", {Path(image).name if image else "original": x[0]}), *_sections(x, wanted)])
    with whole_file(path) as temporary:
        sheet.save(temporary)
    return sum(name in wanted for table in tables for name in table)


def square_image(path: str | Path | None, size: int) -> Tensor:
    """The middle of an upright image file, or of the default photograph, as (1, 3, size, size) in [0, 1].

    :param path: the file; None takes the photograph.
    :param size: the side in pixels to which the square is resized.
    :raises ValueError: for a file that is no image or cannot be read.
    """
    if path is None:
        return _middle(Image.fromarray(load_sample_image("china.jpg")), size)
    try:
        return _middle(open_image(path), size)
    except UnidentifiedImageError:
        raise ValueError(f"image must be an image file, got {str(path)!r}") from None
    except ValueError as error:
        raise ValueError(f"image must be an image file that can be read, got {str(path)!r}: {error}") from None


def _middle(image: Image.Image, size: int) -> Tensor:
    whole = upright_image(image)
    side = min(whole.size)
    left, top = ((length - side) // 2 for length in whole.size)
    cut = whole.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    return torch.from_numpy(image_pixels(cut)).expand(3, -1, -1)[None].contiguous()


def _sections(x: Tensor, wanted: set[str]) -> list[Section]:
    transforms = {name: most_visible(cls(), x) for name, cls in TRANSFORMS.items() if name in wanted}
    mixed = {name: most_even(cls(), x) for name, cls in MIXING.items() if name in wanted}
    corruptions = {name: corrupt(x, name, severity=3, seed=0)[0] for name in CORRUPTIONS if name in wanted}
    domains = {name: domain_mapping(x, name, severity=5, seed=0)[0] for name in DOMAINS if name in wanted}
    sections = [
        ("Transforms", transforms),
        ("Two images mixed", mixed),
        ("Common corruptions, severity 3", corruptions),
        ("Domains, severity 5", domains),
    ]
    return [section for section in sections if section[1]]


def most_visible(transform: Transform, x: Tensor) -> Tensor:
    """Of several draws of a transform the result that changes an image most.

    :param transform: the transform.
    :param x: the image, (1, 3, H, W) in [0, 1].
    :return: (3, H, W), clipped to [0, 1].
    """
    pipeline = Pipeline(transform)
    draw = keyed_draws(pipeline, keys_of(0, TRIAL, torch.arange(DRAWS_TRIED)))
    changed = pipeline.apply(x.expand(DRAWS_TRIED, -1, -1, -1).contiguous(), draw).clamp(0, 1)
    return changed[(changed - x).abs().flatten(1).mean(1).argmax()]


def most_even(mixing: Mixing, x: Tensor) -> Tensor:
    """Of several draws of a mixing with a second photograph the one that has most of both images.

    :param mixing: the mixing.
    :param x: the image, (1, 3, H, W), square, in [0, 1].
    :return: (3, H, W).
    """
    pair = torch.cat((x, _middle(Image.fromarray(load_sample_image("flower.jpg")), x.shape[3])))
    draw = keyed_points(keys_of(0, TRIAL, torch.arange(DRAWS_TRIED)), 2, mixing.coordinates)
    tried = [mixing.mix(pair, torch.tensor([0, 1]), draw[[2 * k, 2 * k + 1]], classes=2) for k in range(DRAWS_TRIED)]
    images, _ = min(tried, key=lambda one: abs(one[1][0, 0].item() - 0.5))
    return images[0]


def draw_sheet(sections: Sequence[Section]) -> Image.Image:
    """Lay out images of one size in rows under the titles of their sections, each with its name below.

    :param sections: titles, each with images (3, H, W) in [0, 1] by name.
    """
    size = next(iter(sections[0][1].values())).shape[-1]
    columns = min(COLUMNS, max(len(images) for _, images in sections))
    rows = [-(-len(images) // columns) for _, images in sections]
    tile = size + MARGIN
    sheet = Image.new(
        "RGB", (MARGIN + columns * tile, 2 * MARGIN + len(rows) * TITLE + sum(rows) * (tile + LABEL)), "white"
    )
    pen = ImageDraw.Draw(sheet)
    top = MARGIN
    for (title, images), count in zip(sections, rows, strict=True):
        pen.text((MARGIN, top + TITLE / 2), title, "black", _font(title, 24, sheet.width - 2 * MARGIN), anchor="lm")
        top += TITLE
        for index, (name, image) in enumerate(images.items()):
            left, upper = MARGIN + index % columns * tile, top + index // columns * (tile + LABEL)
            sheet.paste(_picture(image), (left, upper))
            place = (left + size / 2, upper + size + LABEL / 2)
            pen.text(place, name, "black", _font(name, 16, tile), anchor="mm")
        top += count * (tile + LABEL)
    return sheet


def _picture(image: Tensor) -> Image.Image:
    levels: NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(levels)


def _font(text: str, size: int, width: float) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, made smaller until ``text`` fits into ``width`` pixels."""
    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(str(file), size)
    return font if size <= 8 or font.getlength(text) <= width else _font(text, size - 1, width)
