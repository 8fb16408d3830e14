"""The outside, as a gateway adapter sees it."""

from tests.outside import outside

__all__ = ["outside"]
