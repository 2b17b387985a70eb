"""Names of categories and splits, made out of names of folders.

Accents are removed, and capitals become small letters. Other characters that are not accepted become a hyphen: "Café
Noise" becomes cafe-noise. A name whose letters have no such form is written in Punycode, which keeps different names
apart. Names that are too long keep their start, and get a hash of the whole.
"""

import hashlib
import re
from typing import Final
from unicodedata import category, normalize

LONGEST_CATEGORY: Final = 64
LONGEST_SPLIT: Final = 32

_OTHERS: Final = re.compile(r"[^a-z0-9_-]+")
_LETTERS: Final = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_HASH_DIGITS: Final = 8


def made_name(text: str, longest: int = LONGEST_CATEGORY) -> str:
    """Make a name of 1 to `longest` of a-z, 0-9, _ and - out of any text; a name that is one already stays.

    Args:
        text: Not empty.
        longest: Most characters.
    """
    folded = normalize("NFKD", text.casefold().translate(_LETTERS)).casefold()
    plain = "".join(letter for letter in folded if not category(letter).startswith("M"))
    if any(not letter.isascii() and letter.isalnum() for letter in plain):
        plain = "xn--" + normalize("NFC", text.lower()).encode("punycode", "replace").decode("ascii").lower()
    name = plain if not _OTHERS.search(plain) else _OTHERS.sub("-", plain).strip("-")
    name = name or f"folder-{_digest(text)}"
    return name if len(name) <= longest else f"{name[: longest - _HASH_DIGITS - 1]}-{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(normalize("NFC", text).encode("utf-8", "surrogateescape")).hexdigest()[:_HASH_DIGITS]
