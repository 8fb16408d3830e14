"""A shelf: why so much of a SKU is for sale, every number of it explained by the ones before."""

import msgspec


class Shelf(msgspec.Struct, frozen=True):
    """The stock of a SKU, and what it comes from.

    `counted` is all that people ever put there or took away, `sold` what paid orders took of it,
    `held` what orders hold now, and `promised` what orders that wait are to get. It is `partial`
    if not all lines of orders were looked at.
    """

    sku: str
    name: str
    on_hand: int
    reserved: int
    low_at: int | None
    version: int
    counted: int
    sold: int
    held: int
    partial: bool = False
    promised: int = 0

    @property
    def available(self) -> int:
        """Give what is for sale; below zero, what is promised beyond what there is."""
        return self.on_hand - self.reserved - self.promised

    @property
    def is_low(self) -> bool:
        """Tell whether it is time to get some more; without a threshold once it is sold out."""
        return self.available <= (self.low_at or 0)

    @property
    def unexplained(self) -> int:
        """Give what is on hand beyond what was counted and not sold.

        If not all lines were looked at, it is what the others sold, below zero.
        """
        return self.on_hand - (self.counted - self.sold)

    @property
    def unheld(self) -> int:
        """Give what is reserved beyond what the orders that were looked at hold."""
        return self.reserved - self.held


def why(shelf: Shelf) -> str:
    """Say in one sentence why so much is for sale."""
    promised = f" and {shelf.promised} promised to orders that wait" if shelf.promised else ""
    sentence = (
        f"{shelf.available} are for sale: {shelf.on_hand} on hand less {shelf.reserved} that orders"
        f" hold{promised}; on hand are {shelf.counted} counted in less {shelf.sold} sold"
    )
    rest = shelf.unexplained
    if not rest and not shelf.unheld:
        return f"{sentence}."
    if shelf.partial:
        return f"{sentence} of late and {-rest} by older orders."
    return f"{sentence}, which leaves {rest:+} on hand and {shelf.unheld:+} held unexplained."
