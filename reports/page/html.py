"""A page as HTML. The templates compute nothing; page.html.j2 loops over the sections and their parts."""

from __future__ import annotations

import re

from jinja2 import Environment as Templates
from jinja2 import PackageLoader, StrictUndefined, pass_environment
from markupsafe import Markup

from reports.page.page import Page
from reports.page.parts import Prose


def page_html(page: Page) -> str:
    """The page as one file that needs no other."""
    templates = Templates(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"macro_name": _macro_name, "prose": _prose}
    return templates.get_template("page.html.j2").render(page=page)


def _macro_name(part: object) -> str:
    """The name of the macro in parts.html.j2 that prints parts of this class."""
    return type(part).__name__.lower()


@pass_environment
def _prose(templates: Templates, prose: Prose) -> Markup:
    return Markup(templates.get_template(f"sections/{prose.template}").render(prose.values))


def _unbroken(value: object) -> object:
    """Keep a figure and its unit on one line. Markup is left as it is."""
    if type(value) is not str:
        return value
    return re.sub(r"(?<=\d) (?=(?:%|ms|s|MB|GB|kB|blocks?)(?:\W|$))", "\u00a0", value)
