"""Every page before axe-core, which is had from the npm registry for the time of the test."""

import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Page

from tests.browser.conftest import visit

VERSION = "4.14.1"
DIGEST = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
# Several times what a megabyte takes.
WITHIN_S = 60
FINDINGS = """async () => (await axe.run({ resultTypes: ["violations"] })).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`)"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core; skips where there is no registry to have it from."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here, so axe-core cannot be had: install Node.js to run it")
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(  # noqa: S603 - npm, and words of ours
            [npm, "pack", "--silent", f"axe-core@{VERSION}"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=WITHIN_S,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the npm registry cannot be reached, so axe-core cannot be had: {error}")
    return unpacked(folder)


def unpacked(folder: Path) -> str:
    with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        found = script.read()
    assert sha256(found).hexdigest() == DIGEST
    return found.decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(
    inside: Page, addresses: list[str], axe: str, scheme: Literal["light", "dark"]
) -> None:
    await inside.emulate_media(color_scheme=scheme)
    found: dict[str, list[str]] = {}

    for address in [*addresses, "/ops/login"]:
        if address == "/ops/login":
            await inside.context.clear_cookies()
        await visit(inside, address)
        await inside.evaluate(axe)
        found[address] = await inside.evaluate(FINDINGS)

    assert {address: findings for address, findings in found.items() if findings} == {}
