"""Templates: what comes from outside is text, and pages bring nothing that the CSP refuses."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.bounds import unbounded
from ops.dashboard import render
from ops.dashboard.page import Page
from ops.dashboard.pages import PAGES

TEMPLATES = sorted(render.TEMPLATES.glob("*.html"))


def test_text_from_outside_is_shown_as_text() -> None:
    hostile = {"problem": "<script>alert(1)</script>", "next": '"><b>', "email": "'\"><img src=x>"}

    shown = render.page("login.html", hostile)

    assert "<script>alert" not in shown
    assert "<b>" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_has_nothing_that_the_policy_refuses_or_is_not_escaped(template: Path) -> None:
    source = template.read_text()

    assert not re.search(r"\sstyle=|\son[a-z]+=|<script(?![^>]* src=)|<style|https?://", source)
    assert not re.search(r"\|\s*safe|autoescape|Markup", source)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_what_lives_on_a_page_has_an_element_of_that_name_to_live_in(page: Page) -> None:
    source = (render.TEMPLATES / page.template).read_text()

    named = [name.replace("_", "-") for name in re.findall(r"block live_(\w+)", source)]
    for name in named:
        assert re.search(rf'id="{name}"[^>]* data-live|data-live[^>]* id="{name}"', source), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_what_may_be_asked_of_a_page_is_bounded(page: Page) -> None:
    assert list(unbounded(page.asked)) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0.0851, "85 ms"),
        (2.44, "2.4 s"),
        (5, "5 s"),
        (119, "119 s"),
        (180, "3 min"),
        (7200, "2 h"),
        (259_200, "3 d"),
    ],
)
def test_duration_is_written_in_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert render.duration(seconds) == text


def test_numbers_and_moments_are_written_for_people_and_machines() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)

    assert render.number(1_234_567) == "1,234,567"
    assert render.iso(at) == "2026-01-02T03:04:05.678Z"
    assert render.clock(at) == "2026-01-02 03:04:05 UTC"


def test_address_of_a_file_changes_with_its_content() -> None:
    assert re.fullmatch(r"/ops/static/ops\.css\?v=[0-9a-f]{16}", render.asset("ops.css"))
