"""A figure of matplotlib as SVG that is part of an HTML page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from art_domainrand.evaluation.report.text import visible

INK, MUTED, LINE, PAPER = "#010101", "#020202", "#030303", "#040404"
"""Colours that matplotlib writes and the page replaces by its own, so that one figure serves light and dark."""

SERIES = tuple(f"#05000{k}" for k in range(1, 7))
"""The colours of the series, likewise."""

PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    PAPER: "var(--paper)",
    **{colour: f"var(--series-{k})" for k, colour in enumerate(SERIES, 1)},
}

SETTINGS = {
    "svg.fonttype": "none",  # text stays text: it is read aloud, found, and set in the page's font
    "svg.hashsalt": "art_domainrand",  # the same figure is the same bytes
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 11.5,
    "figure.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}

WIDTH, HEIGHT = 360, 250
"""The size of a figure: as wide as a phone shows it, nearly, so that its text stays readable there."""

INCHES = 1 / 72  # the SVG's unit is a point, which the page takes as a pixel


def drawn(
    key: str,
    title: str,
    description: str,
    draw: Callable[[Axes], None],
    *,
    width: float = WIDTH,
    height: float = HEIGHT,
) -> Markup:
    """Draw one pair of axes as SVG.

    :param key: a word that no other figure of the page has; its ids begin with it.
    :param title: the name of the figure for those who do not see it.
    :param description: what is to be seen in it.
    :param draw: draws into the axes.
    :param width: in pixels.
    :param height: in pixels.
    :return: an ``<svg>`` element.
    """
    stream = io.BytesIO()
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the reader's font draws it, not ours
        figure = Figure(figsize=(width * INCHES, height * INCHES), layout="constrained")
        draw(figure.subplots())
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    return page_svg(stream.getvalue(), key, visible(title), visible(description))


def page_svg(svg: bytes, key: str, title: str, description: str) -> Markup:
    """The SVG as part of a page: no ids that others have, no styles that reach beyond it, no colours of its own."""
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if local_name(child.tag) in ("metadata", "style"):
                parent.remove(child)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg.decode()))
    for element in root.iter():
        element.tag = local_name(element.tag)
        element.attrib = {
            local_name(name): own_value(local_name(name), value, key)
            for name, value in element.attrib.items()
            if local_name(name) != "id" or value in used
        }
        element.text, element.tail = (
            None if not (text or "").strip() else text for text in (element.text, element.tail)
        )
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{key}-title {key}-description"}
    for place, (name, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(name, {"id": f"{key}-{'title' if name == 'title' else 'description'}"})
        element.text = text
        root.insert(place, element)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def own_value(name: str, value: str, key: str) -> str:
    """The value of an attribute, with ids that begin with ``key`` and colours and fonts of the page."""
    if name == "id":
        return f"{key}-{value}"
    if name == "href":
        return value.replace("#", f"#{key}-", 1)
    value = value.replace("url(#", f"url(#{key}-")
    if name == "style":
        for colour, variable in PAGE_COLOURS.items():
            value = value.replace(colour, variable)
        value = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)
    return value


def local_name(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition("}")[2]
