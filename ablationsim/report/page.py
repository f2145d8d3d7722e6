"""What pages have in common that are not about one run: the style and the number formats of the report of a run."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ablationsim.report.html import fixed, signed, significant


def style() -> str:
    """The style sheet of the report of a run."""
    _, _, after = _source("template.html.j2").partition("<style>")
    return after.partition("</style>")[0]


def render_page(template: str, images: Mapping[str, bytes], **content: Any) -> str:
    """Return a self-contained page; everything in the content is escaped.

    Parameters
    ----------
    template : str
        Name of its file, beside this one.
    images : mapping of str to bytes
        PNG files by name; the template has them as text for its image tags.
    content
        What the template names.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"fixed": fixed, "signed": signed, "significant": significant}
    pictures = {name: base64.b64encode(content).decode("ascii") for name, content in images.items()}
    return environment.from_string(_source(template)).render(images=pictures, style=Markup(style()), **content)


def _source(name: str) -> str:
    return resources.files("ablationsim.report").joinpath(name).read_text(encoding="utf-8")
