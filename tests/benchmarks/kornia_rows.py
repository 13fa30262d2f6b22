"""Every transform and domain beside what Kornia's functional layer has for it: who computes it, why, and what shows it.

Rows for ``kornia_table.py``, which measures them; ``tests/test_kornia_rows.py`` holds each reason but speed, which is a
matter of the table's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import kornia.augmentation as K  # noqa: N812 - the name Kornia's own documentation uses
import torch
from kornia import color, contrib, enhance, filters
from kornia import geometry as G  # noqa: N812
from kornia.geometry.calibration import distort_points
from torch import Tensor, nn

from art_domainrand import randomization as R  # noqa: N812
from art_domainrand.randomization.core.choosing import take
from art_domainrand.randomization.domains import REFERENCE_METHODS, lab, parts
from art_domainrand.randomization.transforms.lens_blur import largest, line_kernel, soft_disk

SPEED, GRADIENT, REPLAY, FUSION = "speed", "gradient", "replay", "fusion"
OTHER, PART, NONE = "another result", "a part alone", "Kornia has none"
REASONS = (SPEED, GRADIENT, REPLAY, FUSION, OTHER, PART, NONE)

Change = Callable[[Tensor, Mapping[str, Any], Any], Tensor]
"""Images, a transform's values and the transform itself, to changed images."""


@dataclass(frozen=True)
class Row:
    """One transform beside Kornia.

    :param name: its key in ``TRANSFORMS``, ``DOMAINS`` (after "domain.") or ``REFERENCE_METHODS`` (after "reference.").
    :param kornia: Kornia's function or class, in words; empty if there is none.
    :param by: "Kornia", "ours", or what of it is whose.
    :param why: why not all of it is Kornia's, of ``REASONS``.
    :param note: the reason in words.
    :param theirs: the same by Kornia's functions alone.
    :param ours: what it is compared with, if not the transform itself.
    :param transform: the transform, if not the one of that name with its defaults.
    :param matrix: Kornia's matrix alone, from the values, where every member of a fused chain pays for its own.
    :param random: whether ``theirs`` draws for itself, so that results cannot be compared.
    """

    name: str
    kornia: str = ""
    by: str = "ours"
    why: tuple[str, ...] = (NONE,)
    note: str = ""
    theirs: Change | None = None
    ours: Change | None = None
    transform: R.Transform | None = None
    matrix: Callable[[Mapping[str, Any]], Tensor] | None = None
    random: bool = False

    def made(self) -> R.Transform:
        """The transform that is compared."""
        if self.transform is not None:
            return self.transform
        group, _, key = self.name.rpartition(".")
        if group == "reference":
            domain = REFERENCE_METHODS[key]()
            return domain.fit(torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(7)))
        return {"": R.TRANSFORMS, "domain": R.DOMAINS}[group][key]()


def values_for(transform: R.Transform, n: int, seed: int = 1) -> Mapping[str, Any]:
    """The values of a draw for ``n`` images."""
    draw = R.Pipeline(transform).sample(n, torch.Generator().manual_seed(seed))
    return transform.values(draw.u, draw.seeds)


def apply_ours(row: Row, x: Tensor, values: Mapping[str, Any], transform: R.Transform) -> Tensor:
    """The change as this package makes it."""
    return transform.apply(x, values) if row.ours is None else row.ours(x, values, transform)


def same_bits_when_sliced(row: Row) -> bool:
    """Whether Kornia's result for an image does not depend on the others in its batch."""
    transform = row.made()
    size = (32, 32) if row.name in ("jpeg", "grid_shuffle") else (37, 23)  # theirs take multiples of a block alone
    x = torch.rand(9, 3, *size, generator=torch.Generator().manual_seed(2))
    values = values_for(transform, len(x))
    whole = row.theirs(x, values, transform)
    picks = [torch.arange(0, 1), torch.arange(4, 5), torch.arange(2, 7)]
    return all(torch.equal(row.theirs(x[pick], take(values, pick), transform), whole[pick]) for pick in picks)


def gradient_of(change: Change, x: Tensor, values: Mapping[str, Any], transform: R.Transform) -> Tensor | None:
    """The gradient of a weighted sum of the changed images; None if there is none."""
    source = x.clone().requires_grad_()
    changed = change(source, values, transform)
    if not changed.requires_grad:
        return None
    weight = torch.rand(changed.shape, generator=torch.Generator().manual_seed(4)) + 0.5
    return torch.autograd.grad((changed * weight).sum(), source)[0]


def gradients_compared(row: Row) -> str:
    """Kornia's gradient of the image in words, beside ours: "same", "none", "NaN", "0 at 12 %" or "differs".

    The images have black, white and other pixels, a third each.
    """
    transform = row.made()
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(8, 3, 32, 32, generator=generator)
    kind = torch.rand(x.shape, generator=generator)
    x = torch.where(kind < 1 / 3, 0.0, torch.where(kind < 2 / 3, 1.0, x))
    x[:, :, :8, :8] = 0.0  # a corner that is black in all channels
    values = values_for(transform, len(x))
    if row.random:
        return ""
    theirs = gradient_of(row.theirs, x, values, transform)
    if theirs is None:
        return "none"
    if not theirs.isfinite().all():
        return "NaN"
    ours = gradient_of(lambda *args: apply_ours(row, *args), x, values, transform)
    lost = ((theirs == 0) & (ours != 0)).float().mean().item()
    if lost > 0.01:
        return f"0 at {lost:.0%}".replace("%", " %")
    close = torch.allclose(theirs, ours, atol=1e-3 * ours.abs().max().item())
    return "same" if close else "differs"


def from_module(make: Callable[[], nn.Module]) -> Change:
    """A class of Kornia's that draws for itself."""
    return lambda x, values, transform: make()(x)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[2], x.shape[3]


def _centre(x: Tensor) -> Tensor:
    return x.new_tensor([[(x.shape[3] - 1) / 2, (x.shape[2] - 1) / 2]]).expand(len(x), 2)


def _none(v: Mapping[str, Any]) -> Tensor:
    """A centre at zero for each image."""
    return torch.zeros(len(next(iter(v.values()))), 2)


def _affine(x: Tensor, matrix: Tensor) -> Tensor:
    return G.warp_affine(x, matrix, _size(x), align_corners=True)


def _rotation(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    return _affine(x, G.get_rotation_matrix2d(_centre(x), v["angle"], x.new_ones(len(x), 2)))


def _scale(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    both = torch.stack((v["factor"], v["factor"]), dim=1)
    return _affine(x, G.get_rotation_matrix2d(_centre(x), torch.zeros_like(v["factor"]), both))


def _shear(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    return _affine(x, G.get_shear_matrix2d(_centre(x), torch.deg2rad(v["x"]), torch.deg2rad(v["y"]))[:, :2])


def _translation(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    shift = torch.stack((v["x"] * x.shape[3], v["y"] * x.shape[2]), dim=1)
    return G.translate(x, shift, align_corners=True)


def _crop(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    width = torch.sqrt(v["area"] * v["ratio"]).clamp(max=1) * (x.shape[3] - 1)
    height = torch.sqrt(v["area"] / v["ratio"]).clamp(max=1) * (x.shape[2] - 1)
    left, top = v["x"] * (x.shape[3] - 1 - width), v["y"] * (x.shape[2] - 1 - height)
    xs, ys = (left, left + width, left + width, left), (top, top, top + height, top + height)
    boxes = torch.stack((torch.stack(xs, dim=1), torch.stack(ys, dim=1)), dim=2)
    return G.transform.crop_and_resize(x, boxes, _size(x), align_corners=True)


def _flip(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    return torch.where((v["horizontal"] < t.horizontal).view(-1, 1, 1, 1), G.hflip(x), x)


def _perspective(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    half = x.new_tensor([(x.shape[3] - 1) / 2, (x.shape[2] - 1) / 2])
    corners = x.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    shares = torch.stack([v[name] for name in t.parameters], dim=1).view(-1, 4, 2)
    source, target = (half + half * corners).expand(len(x), 4, 2), half + half * corners * (1 - shares)
    return G.warp_perspective(x, G.get_perspective_transform(source, target), _size(x), align_corners=True)


def _elastic(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    return G.transform.elastic_transform2d(x, torch.rand(len(x), 2, *_size(x)) * 2 - 1, (9, 9), (4.0, 4.0))


def _thin_plate(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    holds = x.new_tensor([[a, b] for b in (-1, 0, 1) for a in (-1, 0, 1)]).expand(len(x), 9, 2)
    shares = torch.stack([v[name] for name in t.parameters], dim=1).view(-1, 9, 2)
    weights, affine = G.get_tps_transform(holds, holds + shares)
    return G.warp_image_tps(x, holds + shares, weights, affine, align_corners=True)


def _lens(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    height, width = _size(x)
    camera = torch.eye(3).repeat(len(x), 1, 1)
    camera[:, 0, 0] = camera[:, 1, 1] = math.hypot(width - 1, height - 1) / 2
    camera[:, 0, 2], camera[:, 1, 2] = (width - 1) / 2 + v["x"] * width, (height - 1) / 2 + v["y"] * height
    lattice = G.create_meshgrid(height, width, normalized_coordinates=False).reshape(1, -1, 2).repeat(len(x), 1, 1)
    none = torch.zeros_like(v["k1"])
    points = distort_points(lattice, camera, torch.stack((v["k1"], v["k2"], none, none), dim=1))
    across, down = points.view(len(x), height, width, 2).unbind(3)
    return G.transform.remap(x, across.contiguous(), down.contiguous(), align_corners=True)


def _grid_shuffle(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    window = x.shape[2] // t.rows, x.shape[3] // t.columns
    patches = contrib.extract_tensor_patches(x, window, window)
    order = t._order(v["seed"], t.rows * t.columns)
    shuffled = patches[torch.arange(len(x))[:, None], order]
    return contrib.combine_tensor_patches(shuffled, _size(x), window, window)


def _hue(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    luma, blue, red = color.rgb_to_yuv(x).unbind(1)
    angle = torch.deg2rad(v["shift"]).view(-1, 1, 1)
    turned = luma, blue * angle.cos() - red * angle.sin(), blue * angle.sin() + red * angle.cos()
    return color.yuv_to_rgb(torch.stack(turned, dim=1))


def _faded(change: Callable[[Tensor], Tensor], name: str = "amount", most: float = 1.0) -> Change:
    """From the image to its change by a share."""
    return lambda x, v, t: torch.lerp(x, change(x).expand_as(x), (v[name] / most).view(-1, 1, 1, 1))


def _gaussian_blur(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    size = 2 * math.ceil(3 * largest(t.sigma)) + 1
    return filters.gaussian_blur2d(x, (size, size), v["sigma"][:, None].expand(-1, 2))


def _motion_blur(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    kernel = line_kernel(v["length"], v["angle"], v["bias"], math.ceil(largest(t.length) / 2))
    return filters.filter2d(x, kernel, behaviour="conv")


def _defocus_blur(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    return filters.filter2d(x, soft_disk(v["radius"], math.ceil(largest(t.radius))), behaviour="conv")


def _lab_there_and_back(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    return color.lab_to_rgb(color.rgb_to_lab(x), clip=False)


def _matched(x: Tensor, v: Mapping[str, Any], t: Any) -> Tensor:
    references = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    return contrib.histogram_matching(x.clamp(0, 1), references)


_GIVEN = (
    Row("rotation", "`angle_to_rotation_matrix`, `warp_affine`", "Kornia's matrix, our sampling", (FUSION, SPEED),
        "one sampling for all neighbours", _rotation),
    Row("scale", "`get_rotation_matrix2d`, `warp_affine`", "ours", (FUSION, SPEED),
        "one sum of patterns where theirs multiplies four matrices", _scale,
        matrix=lambda v: G.get_rotation_matrix2d(
            _none(v), torch.zeros_like(v["factor"]), torch.stack((v["factor"], v["factor"]), dim=1))),
    Row("shear", "`get_shear_matrix2d`, `warp_affine`", "ours", (FUSION, SPEED),
        "a sum of patterns", _shear,
        matrix=lambda v: G.get_shear_matrix2d(_none(v), torch.deg2rad(v["x"]), torch.deg2rad(v["y"]))),
    Row("translation", "`translate`", "ours", (FUSION, SPEED),
        "a sum of patterns", _translation,
        matrix=lambda v: G.get_translation_matrix2d(torch.stack((v["x"] * 32, v["y"] * 32), dim=1))),
    Row("crop", "`crop_and_resize`", "ours", (FUSION, SPEED), "theirs solves for a homography", _crop),
    Row("flip", "`hflip`, `vflip`", "Kornia", (), "a matrix where it fuses", _flip),
    Row("perspective", "`get_perspective_transform`, `warp_perspective`", "ours", (FUSION, SPEED),
        "a closed form; their solver waits for the device", _perspective),
    Row("elastic", "`elastic_transform2d`", "ours", (FUSION, OTHER),
        "smoothed noise can fold, so labels have no way back", _elastic, random=True),
    Row("thin_plate", "`get_tps_transform`, `warp_image_tps`", "ours", (FUSION, OTHER, SPEED),
        "their spline is centred at the displaced points and needs a solver for each image", _thin_plate),
    Row("lens_distortion", "`distort_points`, `remap`", "ours", (FUSION, SPEED),
        "ours goes on straight beyond radius 1, where theirs folds", _lens),
    Row("grid_shuffle", "`extract_tensor_patches`, `combine_tensor_patches`", "ours", (SPEED,),
        "pieces are moved once", _grid_shuffle, transform=R.GridShuffle(4, 4)),
    Row("brightness", "`adjust_brightness`", "Kornia", (), "a matrix where it fuses",
        lambda x, v, t: enhance.adjust_brightness(x, v["shift"], clip_output=False)),
    Row("contrast", "`adjust_contrast_with_mean_subtraction`", "ours", (FUSION, GRADIENT, SPEED), "theirs clips",
        lambda x, v, t: enhance.adjust_contrast_with_mean_subtraction(x, v["factor"])),
    Row("saturation", "`adjust_saturation_with_gray_subtraction`", "ours", (FUSION, GRADIENT, SPEED), "theirs clips",
        lambda x, v, t: enhance.adjust_saturation_with_gray_subtraction(x, v["factor"])),
    Row("grayscale", "`rgb_to_grayscale`", "ours", (FUSION, SPEED), "a matrix product where theirs needs a blend",
        _faded(color.rgb_to_grayscale)),
    Row("invert", "`invert`", "Kornia", (), "of a fixed amount 1; others are a gain and an offset",
        lambda x, v, t: enhance.invert(x), transform=R.Invert(1.0)),
    Row("hue", "`rgb_to_yuv`, `yuv_to_rgb`", "ours", (FUSION, SPEED), "one matrix", _hue),
    Row("hsv_hue", "`adjust_hue`", "Kornia", (), "",
        lambda x, v, t: enhance.adjust_hue(x, torch.deg2rad(v["shift"]))),
    Row("hsv_saturation", "`adjust_saturation`", "Kornia", (), "",
        lambda x, v, t: enhance.adjust_saturation(x, v["factor"])),
    Row("white_balance", note="`RandomPlanckianJitter` takes its gains from a table of lamps"),
    Row("gamma", "`adjust_gamma`", "ours", (GRADIENT, SPEED), "an infinite slope at black",
        lambda x, v, t: enhance.adjust_gamma(x, v["gamma"])),
    Row("channel_shuffle", "`RandomChannelShuffle`", "ours", (FUSION, REPLAY), "a class alone",
        from_module(lambda: K.RandomChannelShuffle(p=1.0)), random=True),
    Row("channel_dropout", "`RandomChannelDropout`", "ours", (FUSION, REPLAY), "a class alone",
        from_module(lambda: K.RandomChannelDropout(p=1.0)), random=True),
    Row("rgb_shift", "`shift_rgb`", "ours", (FUSION, GRADIENT), "theirs clips",
        lambda x, v, t: enhance.shift_rgb(x, v["red"], v["green"], v["blue"])),
    Row("solarize", "`solarize`", "Kornia", (), "the threshold's gradient is ours, theirs has none",
        lambda x, v, t: enhance.solarize(x, v["threshold"])),
    Row("posterize", "`posterize`", "ours", (GRADIENT, SPEED), "zero everywhere",
        lambda x, v, t: enhance.posterize(x, v["bits"].round().int())),
    Row("equalize", "`equalize`", "ours", (GRADIENT, SPEED), "takes the level below, ours the nearest, as 8 bits do",
        _faded(enhance.equalize)),
    Row("auto_contrast", "`normalize_min_max`", "ours", (SPEED,), "one gain and one offset",
        _faded(enhance.normalize_min_max)),
    Row("sharpness", "`sharpness`", "ours", (GRADIENT, SPEED), "theirs clips",
        lambda x, v, t: enhance.sharpness(x, v["factor"])),
    Row("uneven_illumination", note="`RandomGaussianIllumination` adds light, it does not multiply"),
    Row("shadow", note="`RandomPlasmaShadow` has fractal shadows with hard edges"),
    Row("gaussian_noise", "`RandomGaussianNoise`", "ours", (REPLAY,), "a class alone",
        from_module(lambda: K.RandomGaussianNoise(std=0.05, p=1.0)), random=True),
    Row("impulse_noise", "`RandomSaltAndPepperNoise`", "ours", (REPLAY,), "a class alone",
        from_module(lambda: K.RandomSaltAndPepperNoise((0.0, 0.1), p=1.0)), random=True),
    Row("quantization", note="`posterize` knows powers of two alone"),
    Row("gaussian_blur", "`gaussian_blur2d`", "ours", (SPEED,),
        "weights too small to be seen are zero, as they slow a processor down", _gaussian_blur),
    Row("motion_blur", "`filter2d`", "Kornia's filter, our kernel", (), "`get_motion_kernel2d` has one length for all",
        _motion_blur),
    Row("defocus_blur", "`filter2d`", "Kornia's filter, our kernel", (), "there is no kernel of a disk", _defocus_blur),
    Row("jpeg", "`jpeg_codec_differentiable`", "ours", (OTHER, SPEED),
        "a smooth stand-in, 3 to 6 levels from a codec; ours rounds as libjpeg does",
        lambda x, v, t: enhance.jpeg_codec_differentiable(x, v["quality"])),
    Row("occlusion", "`RandomErasing`", "ours", (REPLAY,), "a class alone, whose edges have no gradient to their place",
        from_module(lambda: K.RandomErasing((0.02, 0.15), p=1.0)), random=True),
    Row("erasing", "`RandomErasing`", "ours", (REPLAY,), "a class alone, whose edges have no gradient to their place",
        from_module(lambda: K.RandomErasing(p=1.0)), random=True, transform=R.Erasing(fill=0.0)),
    Row("rain", "`RandomRain`", "ours", (REPLAY,), "a class alone; 20 to 40 grey lines of whole pixels",
        from_module(lambda: K.RandomRain((20, 40), p=1.0)), random=True),
    Row("snow", "`RandomSnow`", "ours", (REPLAY,), "a class alone; brightens what is bright, there are no flakes",
        from_module(lambda: K.RandomSnow((0.1, 0.3), (1.5, 2.5), p=1.0)), random=True),
    Row("dct_noise", note="its codec takes no coefficients"),
    Row("flow_field", note="`elastic_transform2d` draws its field, `remap` takes one for every pixel"),
    Row("domain.night", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.dusk", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.low_light_sensor", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.rain", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.snow", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.thermal", "`apply_colormap`", "ours, Kornia's grey", (GRADIENT,), "theirs looks colours up in a table",
        lambda x, v, t: color.apply_colormap(color.rgb_to_grayscale(x), color.ColorMap("hot")),
        transform=R.DOMAINS["thermal"](5.0)),
    Row("domain.grayscale", "`rgb_to_grayscale`", "Kornia", (), "", _faded(color.rgb_to_grayscale, "severity", 5.0)),
    Row("domain.negative", "`invert`", "Kornia", (), "", _faded(enhance.invert, "severity", 5.0)),
    Row("domain.sepia", "`sepia_from_rgb`", "Kornia", (), "",
        _faded(lambda x: color.sepia_from_rgb(x, rescale=False), "severity", 5.0)),
    Row("domain.sketch", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.cartoon", "`guided_blur`", "ours, Kornia's grey", (SPEED, OTHER),
        "the guided filter alone; ours counts the pixels that there are at a border",
        lambda x, v, t: filters.guided_blur(x, x, 7, 0.01), lambda x, v, t: parts.flatten(x, 3, 0.1)),
    Row("domain.low_bandwidth", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.print_and_scan", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("domain.sim_texture", "`rgb_to_grayscale`", "ours, Kornia's grey", (PART,)),
    Row("reference.histogram", "`histogram_matching`", "ours", (REPLAY,), "one histogram for the whole batch", _matched,
        random=True),
    Row("reference.reinhard", "`rgb_to_lab`, `lab_to_rgb`", "ours", (REPLAY, SPEED),
        "the conversion there and back alone", _lab_there_and_back, lambda x, v, t: lab.lab_to_rgb(lab.rgb_to_lab(x))),
    Row("reference.moments", note="`zca_mean` whitens over the batch, not within an image"),
)  # fmt: skip

_BY_NAME = {row.name: row for row in _GIVEN}
NAMES = (
    *R.TRANSFORMS,
    *(f"domain.{name}" for name in R.DOMAINS),
    *(f"reference.{name}" for name in REFERENCE_METHODS),
)
assert set(_BY_NAME) <= set(NAMES), set(_BY_NAME) - set(NAMES)
ROWS = tuple(_BY_NAME.get(name, Row(name)) for name in NAMES)
"""One row for each transform, domain and reference method; what is not given above, Kornia does not have."""
