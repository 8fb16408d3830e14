"""Stories of what staff put on sale: variants, their categories, their stock, and carts."""

from ops.storm.history import Asked, Op
from ops.storm.matrix.lane import SKU
from ops.storm.matrix.scene import Scene, Unexpected
from ops.storm.plan import CURRENCY

_SALE_MINOR = 90


async def product(scene: Scene) -> None:
    """Put a product on sale."""
    content = {"name": "Cup", "price_minor": 100, "currency": CURRENCY}
    await scene.write("PUT", f"/v1/variants/{_sku(scene)}", content)


async def board(scene: Scene) -> None:
    """Put a product that variants may be of."""
    content = {"name": "Cup", "status": "active"}
    await scene.write("PUT", f"/v1/products/{_sku(scene).lower()}", content)


async def sale(scene: Scene) -> None:
    """Have a price list, and a product on sale."""
    await product(scene)
    path = f"/v1/price-lists/{_sku(scene).lower()}"
    listed = Asked(Op.WRITE, "PUT", path, content={"currency": CURRENCY}, staff=True)
    await scene.healthy.ask(listed)


async def discounted(scene: Scene) -> None:
    """Put the product into the list at a lower price."""
    path = f"/v1/price-lists/{_sku(scene).lower()}/entries/{_sku(scene)}"
    await scene.write("PUT", path, {"price_minor": _SALE_MINOR})


async def cheaper(scene: Scene) -> None:
    """See the lower price in the list."""
    found = await scene.sql(
        "SELECT price_minor FROM price_list_entries WHERE sku = %s", _sku(scene)
    )
    if found != [(_SALE_MINOR,)]:
        raise Unexpected(f"The price list has {found}.")


async def category(scene: Scene) -> None:
    """Put a category."""
    await scene.write("PUT", f"/v1/categories/{_sku(scene).lower()}", {"name": "Cups"})


async def stock(scene: Scene) -> None:
    """Count what is on hand of a product, which `product` has put on sale before."""
    await scene.write("PUT", f"/v1/stock/{_sku(scene)}", {"on_hand": 5})
    scene.lane.stocked[_sku(scene)] = 5


async def turned(scene: Scene) -> None:
    """Have search behind on a product whose stock has turned."""
    await scene.sql("INSERT INTO search_stale (sku) VALUES (%s)", _sku(scene))


async def cart(scene: Scene) -> None:
    """Have a cart open, and a product on sale."""
    await product(scene)
    wanted = Asked(Op.WRITE, "POST", "/v1/carts", content={"currency": CURRENCY}, staff=True)
    scene.keeps["cart"] = str((await scene.healthy.ask(wanted)).told("id"))


async def fill_cart(scene: Scene) -> None:
    """Put the product into the cart."""
    await scene.write(
        "PUT", f"/v1/carts/{scene.keeps['cart']}/lines/{_sku(scene)}", {"quantity": 2}
    )


async def location(scene: Scene) -> None:
    """Put a place where stock lies."""
    content = {"name": "North", "country": "GB"}
    await scene.write("PUT", f"/v1/locations/{_sku(scene).lower()}", content)


async def filled_cart(scene: Scene) -> None:
    """Have a cart with what orders of other stories are of, and nothing else."""
    opened = Asked(Op.WRITE, "POST", "/v1/carts", content={"currency": CURRENCY}, staff=True)
    cart = f"/v1/carts/{(await scene.healthy.ask(opened)).told('id')}"
    await scene.healthy.ask(Asked(Op.WRITE, "DELETE", f"{cart}/lines", staff=True))
    put = Asked(Op.WRITE, "PUT", f"{cart}/lines/{SKU}", content={"quantity": 2}, staff=True)
    filled = await scene.healthy.ask(put)
    scene.keeps |= {"cart": str(filled.told("id")), "total": str(filled.told("total_minor"))}


async def check_out(scene: Scene) -> None:
    """Order what is in the cart."""
    await scene.check_out(scene.keeps["cart"], int(scene.keeps["total"]))


async def discount(scene: Scene) -> None:
    """Put a discount, whose code nobody uses."""
    content = {"kind": "percentage", "value": 1000, "code": scene.name, "uses_max": 1}
    await scene.write("PUT", f"/v1/discounts/{_sku(scene).lower()}", content)


async def rates(scene: Scene) -> None:
    """Set a rate of shipping, and one of taxes, of a country to which nothing goes."""
    await scene.write("PUT", f"/v1/shipping-rates/AQ-{CURRENCY}", {"price_minor": 5})
    await scene.write("PUT", "/v1/tax-rates/AQ", {"standard_ppm": 5})


def _sku(scene: Scene) -> str:
    return f"SKU-{scene.name}".upper()
