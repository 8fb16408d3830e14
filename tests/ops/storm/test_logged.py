from pathlib import Path

import pytest

from ops.storm.logged import slips

SOUND = 'web-1      | {"msg":"request","order_id":"0199-paid","status":202}\n'


@pytest.mark.parametrize(
    "slip",
    [
        "postgres   | DETAIL: Failing row contains (Canary storm-7-12, 1 High Street)",
        "worker-1   | Mail to buyer-12@example.com failed",
        "web-2      | Authorization: Bearer of_claim_x",
        "web-2      | Authorization: Bearer of_live_staff",
    ],
)
def test_line_with_a_secret_is_found_and_no_other(tmp_path: Path, slip: str) -> None:
    log = tmp_path / "storm.log"
    log.write_text(f"{SOUND}{slip}\n{SOUND}")

    assert slips(log, "of_live_staff") == [slip]


def test_only_the_first_lines_of_a_leak_are_told(tmp_path: Path) -> None:
    log = tmp_path / "storm.log"
    log.write_text("web-1      | Canary storm-7-12\n" * 1000)

    assert len(slips(log)) == 20
