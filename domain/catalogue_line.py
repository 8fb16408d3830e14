"""Lines of the catalogue as files: what an export writes, an import takes in again."""

import msgspec

from domain.catalogue import Sku, Slug
from domain.price_list import ListName
from domain.product import ProductContent
from domain.variant import Price, VariantContent


class ProductPart(ProductContent, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The product of a line, as PUT /v1/products/{slug} takes it, and its slug."""

    slug: Slug


class VariantPart(VariantContent, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The variant of a line, as PUT /v1/variants/{sku} takes it, and its SKU.

    In a line with a product it is of that, whatever its own `product` says.
    """

    sku: Sku


class PricePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the variant of a line costs by a list, which must be there."""

    list: ListName
    price_minor: Price
    compare_at_minor: Price | None = None


class CatalogueLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One variant with its product and prices, or a product that has no variant.

    Each line stands by itself: a product of several variants is in the lines of all of them.
    """

    product: ProductPart | None = None
    variant: VariantPart | None = None
    prices: list[PricePart] = []

    def __post_init__(self) -> None:
        """Raise ValueError for a line with nothing in it, or with prices of nothing."""
        if self.product is None and self.variant is None:
            raise ValueError("Expected a product, a variant, or both")
        if self.prices and self.variant is None:
            raise ValueError("`prices`: Expected a variant to have them")
