"""The table in which the clock keeps a sample of the whole system every minute."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Double, Named, Table, Text, TypedColumns

from db.metadata import metadata


class SampleColumns(TypedColumns):
    minute: Named[datetime] = Column(DateTime(timezone=True), primary_key=True)
    name: Named[str] = Column(Text(), primary_key=True)
    label: Named[str] = Column(Text(), primary_key=True)
    value: Named[float] = Column(Double())


samples = Table("samples", metadata, SampleColumns)
