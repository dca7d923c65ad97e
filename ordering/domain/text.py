"""Which characters a text may have that somebody gives and others read."""

from unicodedata import category

from ordering.domain.errors import UnreadableText

CONTROL = ("Cc", "Zl", "Zp")
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""They turn the direction of the text that follows, in whatever page or mail it stands."""

BREAKS = "\n\r\t"


def check_line(text: str) -> None:
    """Raises `UnreadableText` where a character controls how the text, or what is around it, is shown."""
    if any(category(each) in CONTROL or each in TURNING for each in text):
        raise UnreadableText


def check_text(text: str) -> None:
    """The same of a text that may have several lines. Raises `UnreadableText`."""
    check_line(text.translate(dict.fromkeys(map(ord, BREAKS))))
