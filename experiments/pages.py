"""Web pages of one file: templates of this package, filled in, under a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources


def template(name: str) -> str:
    """Text of a file in ``experiments/templates``."""
    return resources.files("experiments").joinpath("templates", name).read_text(encoding="utf-8")


def fill(name: str, parts: Mapping[str, str]) -> str:
    """A template with every ``{{part}}`` replaced; what is put in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template(name))


def policy(style: str, script: str | None = None) -> str:
    """Content-Security-Policy of a page: its style, its script if there is one, pictures it brings, and no network."""
    allowed = [f"style-src {_digest(style)}"] + ([] if script is None else [f"script-src {_digest(script)}"])
    return f"default-src 'none'; img-src data:; {'; '.join(allowed)}; base-uri 'none'; form-action 'none'"


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
