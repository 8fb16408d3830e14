"""Stories of customers who review what they bought."""

from db.ids import new_id
from ops.storm.matrix import accounts
from ops.storm.matrix.accounts import ask, done
from ops.storm.matrix.lane import SKU
from ops.storm.matrix.scene import Scene

_LINK = "UPDATE variants SET product_id = (SELECT id FROM catalogue_products WHERE slug = %s)"
_ON_SALE = """
INSERT INTO catalogue_products (id, slug, name, status, published_at)
VALUES (%s, %s, 'Tea', 'active', now())
"""


async def customer(scene: Scene) -> None:
    """Have somebody logged in who bought what is sold under a product of their own."""
    await accounts.buyer(scene)
    await accounts.claim(scene)
    await scene.sql(_ON_SALE, new_id(), scene.name)
    await scene.sql(f"{_LINK} WHERE sku = %s", scene.name, SKU)


async def review(scene: Scene) -> None:
    """Review it, through the broken process."""
    content, token = {"stars": 5, "text": "As ever."}, scene.keeps["access_token"]
    await ask(scene, "PUT", _mine(scene), content, token=token, front=True)


async def reviewed(scene: Scene) -> None:
    """See that it is written, once."""
    done(await ask(scene, "GET", _mine(scene), token=scene.keeps["access_token"]))


def _mine(scene: Scene) -> str:
    return f"/v1/products/{scene.name}/reviews/mine"
