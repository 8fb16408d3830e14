"""Asking /graphql, and reading what it refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx


async def ask(
    client: httpx.AsyncClient, query: str, headers: Mapping[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    answer = await client.post("/graphql", json={"query": query, **given}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(answered: Mapping[str, Any]) -> Sequence[str]:
    return [error["extensions"]["code"] for error in answered.get("errors", ())]
