"""Periodic jobs: what they are for and how often they run; any clock may run one."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Job(StrEnum):
    AUDIT = "audit"
    PRUNE = "prune"
    RECONCILE = "reconcile"
    SAMPLE = "sample"


class Schedule(msgspec.Struct, frozen=True):
    every_s: int
    about: str


SCHEDULES: Mapping[Job, Schedule] = {
    Job.AUDIT: Schedule(60, "Checks that what must always hold does, and keeps what does not."),
    Job.PRUNE: Schedule(600, "Deletes what is done and old, a batch at a time."),
    Job.RECONCILE: Schedule(86_400, "Compares our books with those of every gateway."),
    Job.SAMPLE: Schedule(60, "Notes throughput and depths for the overview's last hour."),
}
