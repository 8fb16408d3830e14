from tests.outside import outside

__all__ = ["outside"]
