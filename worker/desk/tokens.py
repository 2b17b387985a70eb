"""The token of a desk, and the cookie that a browser has after it has given the token."""

import hashlib
import hmac
from typing import Final

_NAME: Final = b"name of the cookie"
_VALUE: Final = b"value of the cookie"
_NAME_DIGITS: Final = 12


class Token:
    """What browsers and programs have to give.

    The cookie is made from the token, so desks of one token share it, and another token ends it. Its name is made from
    the token as well: a browser sends the cookies of all ports of a host.

    Attributes:
        cookie_name: Name of the cookie.
        cookie: Value of the cookie, 64 hex digits.
    """

    def __init__(self, text: str) -> None:
        """Take the token.

        Args:
            text: ASCII.
        """
        self._text = text.encode()
        self.cookie_name = f"desk-{self._derive(_NAME)[:_NAME_DIGITS]}"
        self.cookie = self._derive(_VALUE)

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Token(...)"

    def is_given(self, text: str) -> bool:
        """Return whether a text is the token, in a time that says nothing about it."""
        return hmac.compare_digest(text.encode(errors="replace"), self._text)

    def is_cookie(self, text: str) -> bool:
        """Return whether a text is the value of the cookie, likewise."""
        return hmac.compare_digest(text.encode(errors="replace"), self.cookie.encode())

    def _derive(self, purpose: bytes) -> str:
        return hmac.new(self._text, purpose, hashlib.sha256).hexdigest()
