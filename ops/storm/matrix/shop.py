"""Stories of what staff put on sale: variants, their categories, their stock, and carts."""

from ops.storm.history import Asked, Op
from ops.storm.matrix.scene import Scene
from ops.storm.plan import CURRENCY


async def product(scene: Scene) -> None:
    """Put a product on sale."""
    content = {"name": "Cup", "price_minor": 100, "currency": CURRENCY}
    await scene.write("PUT", f"/v1/variants/{_sku(scene)}", content)


async def board(scene: Scene) -> None:
    """Put a product that variants may be of."""
    content = {"name": "Cup", "status": "active"}
    await scene.write("PUT", f"/v1/products/{_sku(scene).lower()}", content)


async def category(scene: Scene) -> None:
    """Put a category."""
    await scene.write("PUT", f"/v1/categories/{_sku(scene).lower()}", {"name": "Cups"})


async def stock(scene: Scene) -> None:
    """Count what is on hand of a product, which `product` has put on sale before."""
    await scene.write("PUT", f"/v1/stock/{_sku(scene)}", {"on_hand": 5})
    scene.lane.stocked[_sku(scene)] = 5


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


def _sku(scene: Scene) -> str:
    return f"SKU-{scene.name}".upper()
