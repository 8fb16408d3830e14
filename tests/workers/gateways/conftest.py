"""The outside, as a gateway adapter sees it."""

from tests.outside import outside, start

__all__ = ["outside", "start"]
