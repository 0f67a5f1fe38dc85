"""Step keys: what may be one, and how repeated ones are told apart."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from . import _limits as limits
from .errors import AmbiguousStepKeyError, InvalidArgumentError

_COUNTER = re.compile(r"#[0-9]+\Z")


@dataclass
class _Use:
    count: int = 1
    pending: bool = True


class StepKeys:
    """Gives every use of a step key its own name: "charge", "charge#2", "charge#3" by call order.

    Call order is only sure inside one branch, so a use that begins while another use of the same key is pending is
    refused by name.
    """

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def claim(self, base: str) -> str:
        """The key of this use of a checked key. ``release(base)`` must follow when it has its result."""
        use = self._uses.get(base)
        if use is None:
            self._uses[base] = _Use()
            return base
        if use.pending:
            raise AmbiguousStepKeyError(base)
        use.pending = True
        use.count += 1
        return f"{base}#{use.count}"

    def release(self, base: str) -> None:
        use = self._uses.get(base)
        if use is not None:
            use.pending = False

    def list(self) -> list[str]:
        """Every key that was given, in call order of the first uses."""
        keys = []
        for base, use in self._uses.items():
            keys.append(base)
            keys.extend(f"{base}#{count}" for count in range(2, use.count + 1))
        return keys


def check_key(what: str, key: object) -> str:
    """Refuses what cannot be a step key."""
    if not isinstance(key, str) or key == "":
        raise InvalidArgumentError(f"a {what} is a text that is not empty, not {key!r}")
    if len(key) > limits.KEY_LENGTH_MAX:
        raise InvalidArgumentError(f"a {what} has at most {limits.KEY_LENGTH_MAX} characters, not {len(key)}")
    if _COUNTER.search(key):
        raise InvalidArgumentError(
            f'{what} {json.dumps(key)} ends in "#" and digits, which the SDK keeps for repeated keys'
        )
    try:
        key.encode()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"a {what} is Unicode text, {json.dumps(key)} has half a surrogate pair") from None
    return key
