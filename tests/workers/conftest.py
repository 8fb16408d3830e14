"""The outside, as workers see it."""

from tests.outside import outside

__all__ = ["outside"]
