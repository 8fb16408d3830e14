"""Spans are recorded where the variables of OpenTelemetry ask for it, and cost nothing else."""

import pytest

from ops.telemetry import trace, tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
ONLY_TRACES = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        (ONLY_TRACES, True),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_off_unless_a_collector_is_named(
    environ: dict[str, str],
    wanted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert tracing.is_wanted(environ) is wanted


def test_nothing_is_recorded_or_made_up_while_traces_are_off() -> None:
    with trace.following(f"00-{'a' * 32}-{'b' * 16}-01", "work") as work, trace.span("a") as part:
        part.set({"number": 1})
        part.rename("b")
        trace.tell_group("group", 1.0, [(trace.current(), {})])

    assert work is part
    assert trace.span("a") is trace.span("b")
    assert not trace.is_recorded()


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", True),
        (f"00-{'a' * 32}-{'b' * 16}-03", True),
        (f"00-{'a' * 32}-{'b' * 16}-00", False),
        ("garbage", False),
        (None, False),
    ],
)
def test_sampling_is_read_from_the_traceparent(
    traceparent: str | None,
    sampled: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert trace.is_sampled(traceparent) is sampled
