"""Alerts, objectives, dashboard and runbooks name what is there, and each alert has its page."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.policy import POLICIES
from ops.config import Settings
from ops.telemetry.metrics import COUNTED, SYSTEM

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "ops/deploy/prometheus"
RUNBOOKS = ROOT / "docs/runbooks"
HEADINGS = ["What it means", "How to see it", "What to do", "When it is over"]
METRIC = re.compile(r"\borderflow_[a-z0-9_]+\b(?!:)")
RECORDED = re.compile(r"\b[a-z]+:orderflow_[a-z0-9_]+:[a-z0-9_]+\b")


def _rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = _rules("alerts.yml")
RECORDING = _rules("recording.yml")
PAGES = sorted(page for page in RUNBOOKS.glob("*.md") if page.name != "README.md")


def _series() -> set[str]:
    """Every name that a query may use, and its suffixes of histograms."""
    names = {**COUNTED, **SYSTEM}
    histograms = [name for name, metric in names.items() if metric.type == "histogram"]
    return set(names) | {
        f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")
    }


def _unknown(expression: str) -> set[str]:
    recorded = {str(rule["record"]) for rule in RECORDING}
    named = set(METRIC.findall(RECORDED.sub("", expression)))
    return (named - _series()) | (set(RECORDED.findall(expression)) - recorded)


def _queries() -> Iterator[tuple[str, str]]:
    for rule in (*ALERTS, *RECORDING):
        yield rule.get("alert") or rule["record"], rule["expr"]
    dashboard = json.loads((ROOT / "ops/deploy/grafana/orderflow.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]


@pytest.mark.parametrize(("name", "query"), list(_queries()))
def test_query_asks_only_for_metrics_that_there_are(name: str, query: str) -> None:
    assert "orderflow" in query, name
    assert _unknown(query) == set(), name


def test_objectives_count_every_way_to_place_an_order() -> None:
    text = (PROMETHEUS / "recording.yml").read_text()
    [routes] = set(re.findall(r'method="POST",route=~"([^"]+)"', text))
    posted = {key.partition(" ")[2] for key in POLICIES if key.startswith("POST ")}

    measured = {path for path in posted if re.fullmatch(routes, path)}
    assert measured == {"/v1/orders", "/v1/carts/{cart_id}/checkout"}
    assert 'route="' not in text


def test_what_is_not_there_is_noticed() -> None:
    query = "rate(orderflow_surprises_total[5m]) > slo:orderflow_surprises:ratio_rate5m"

    assert _unknown(query) == {"orderflow_surprises_total", "slo:orderflow_surprises:ratio_rate5m"}


def test_dashboard_shows_every_metric() -> None:
    shown = " ".join(query for name, query in _queries() if not name.startswith("Orderflow"))
    unseen = {name for name in (*COUNTED, *SYSTEM) if name not in shown}

    assert unseen <= {
        "orderflow_audit_round_timestamp_seconds",  # of interest to who doubts the auditor
        "orderflow_findings",  # these have alerts and a page of their own
        "orderflow_queue_paused",
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_says_how_bad_it_is_what_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    page = ROOT / alert["annotations"]["runbook_url"]

    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"].endswith((".", "?"))
    assert page in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_runbook_is_of_an_alert_and_names_what_there_is(page: Path) -> None:
    text, known = page.read_text(), _series()
    routes = {re.sub(r"\{[^}]*\}", "{}", key.partition(" ")[2]) for key in POLICIES}
    paths = {path.rstrip("/") for path in re.findall(r"(?<!_BASE)/v1/[a-zA-Z0-9$_{}/-]+", text)}
    settings = set(re.findall(r"`([A-Z]{3,}_[A-Z_]+)\b", text))

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    assert any(page.name in alert["annotations"]["runbook_url"] for alert in ALERTS)
    # What is grepped for may be the beginning of several.
    assert {name for name in _unknown(text) if not any(s.startswith(name) for s in known)} == set()
    assert {path for path in paths if not _is_route(path, routes)} == set()
    assert {name for name in settings if name.lower() not in Settings.__struct_fields__} == set()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (RUNBOOKS / link).exists()


def _is_route(path: str, routes: set[str]) -> bool:
    """Say whether there is such a path; what stands for an id, or names a thing, may be any."""
    pattern = re.sub(r"\{[a-z_]+\}|\$[A-Z]+", "{}", path)
    wanted = pattern.split("/")
    return any(
        len(route.split("/")) == len(wanted)
        and all(
            ours in {"{}", theirs} for ours, theirs in zip(route.split("/"), wanted, strict=True)
        )
        for route in routes
    )


def test_every_alert_is_tried() -> None:
    tried = (PROMETHEUS / "alerts_test.yml").read_text()
    fired = {
        case["alertname"]
        for test in yaml.safe_load(tried)["tests"]
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }

    assert fired == {alert["alert"] for alert in ALERTS}


def test_promtool_finds_no_fault_and_each_alert_fires() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus brings it")
    for arguments in (
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml"),
    ):
        done = subprocess.run(  # noqa: S603 - our own words
            [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
