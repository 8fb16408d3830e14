"""Stories of staff who import a file of the catalogue."""

import asyncio
from contextlib import suppress

import aiohttp
import msgspec

from ops.storm.faults.fault import until
from ops.storm.matrix.scene import Scene, Unexpected
from ops.storm.plan import CURRENCY

_ACCEPTED = 202
_MADE = """
SELECT count(*) FROM imports i JOIN idempotency_keys k ON k.order_id = i.id
WHERE k.key = %s AND i.state <> 'uploading'
"""
_AGAIN_S = 0.3


async def send_file(scene: Scene) -> None:
    """Send a file until it is taken in, to the broken web process first, with one key."""
    variant = {"sku": _sku(scene), "name": "Pot", "price_minor": 100, "currency": CURRENCY}
    file = msgspec.json.encode({"variant": variant})
    headers = {
        "Authorization": f"Bearer {scene.lane.admin_api_key}",
        "Content-Type": "application/jsonl",
        "Idempotency-Key": scene.name,
    }
    urls = [scene.lane.broken_url]
    while True:
        url = f"{urls[-1]}/v1/imports"
        urls.append(scene.lane.url)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with scene.lane.session.post(url, data=file, headers=headers) as answer:
                if answer.status == _ACCEPTED:
                    return
        await asyncio.sleep(_AGAIN_S)


async def imported(scene: Scene) -> None:
    """See what was in the file on sale, written once."""
    query = "SELECT version FROM variants WHERE sku = %s"

    async def is_there() -> bool:
        return bool(await scene.sql(query, _sku(scene)))

    await until(is_there)
    if (found := await scene.sql(query, _sku(scene))) != [(1,)]:
        raise Unexpected(f"It was written more than once: {found}.")
    if (found := await scene.sql(_MADE, scene.name)) != [(1,)]:
        raise Unexpected(f"One key made other than one import: {found}.")


def _sku(scene: Scene) -> str:
    return f"POT-{scene.name}".upper()
