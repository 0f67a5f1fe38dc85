"""Names of enum values as people read them."""

from __future__ import annotations

from typing import Any


def enum_name(values: Any, prefix: str, value: int) -> str:
    """The name without its prefix, or the number when this version does not know it."""
    try:
        name: str = values.Name(value)
    except ValueError:
        return str(value)
    return name.removeprefix(prefix)
