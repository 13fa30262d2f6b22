"""From content to text, by the templates beside this file."""

from __future__ import annotations

import html
import operator
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from art_domainrand.evaluation.report.text import (
    bytes_text,
    code_text,
    count_text,
    css_text,
    duration_text,
    interval_text,
    name_text,
    number_text,
    p_text,
    points_text,
    share_text,
    shortened,
    value_text,
    visible,
)

NUMBERS: dict[str, Callable[..., str]] = {
    "share": share_text,
    "interval": interval_text,
    "number": number_text,
    "duration": duration_text,
    "bytes": bytes_text,
    "count": count_text,
    "css": css_text,
    "points": points_text,
    "p": p_text,
    "code": code_text,
    "repeated": operator.mul,
}
"""Filters whose text is of our making, with nothing to escape."""

FILTERS = {"value": value_text, "short": shortened, "name": name_text}

MARKDOWN = re.compile(r"([\\`*_{}\[\]#!|~$^=]|:(?=//)|(?<=www)\.)")
"""What GitHub's Markdown would take for markup, or make a link of."""


def render(template: str, content: Any) -> str:
    """A template filled in.

    Names come from data sets and models, so that none is trusted: whatever a template prints is escaped, and what no
    one could see is made visible.

    :param template: the name of the template: ``*.html.j2`` or ``*.md.j2``.
    :param content: what it calls ``page``.
    """
    environment = environment_of(is_html=template.endswith(".html.j2"))
    return environment.get_template(template).render(page=content)


@cache
def environment_of(*, is_html: bool) -> Environment:
    """The templates of a kind; compiled once, which takes longer than filling them in."""
    environment = Environment(
        loader=PackageLoader("art_domainrand.evaluation.report"),
        autoescape=is_html,
        finalize=html_safe if is_html else markdown_safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FILTERS | {name: safe(function) for name, function in NUMBERS.items()}
    return environment


def safe(function: Callable[..., str]) -> Callable[..., Markup]:
    """The function, its text declared to need no escaping."""
    return lambda *arguments: Markup(function(*arguments))


def html_safe(value: Any) -> Any:
    """The value with nothing invisible in it; the environment escapes it."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def markdown_safe(value: Any) -> Any:
    """A text that GitHub's Markdown shows as it is, in a table too."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return MARKDOWN.sub(r"\\\1", html.escape(" ".join(visible(value).split()), quote=False))
