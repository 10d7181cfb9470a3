"""The words in which a message shows the value received, whatever that value is.

Short, and never an error of the value's own. It knows nothing of arguments and rules.
"""

import reprlib


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        """As any integer, and in hexadecimal where it has more digits than Python prints."""
        try:
            return super().repr_int(x, level)
        except ValueError:
            return f"{hex(x)[:40]}..."


_BRIEF = _Brief()


def shown(value: object) -> str:
    """Describe a value in its own words, shortened; without them where they fail."""
    try:
        text = str.__str__(_BRIEF.repr(value))
    except Exception:
        text = object.__repr__(value)
    return text if len(text) <= 200 else f"{text[:150]}...{text[-40:]}"
