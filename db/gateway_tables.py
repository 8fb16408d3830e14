"""The tables of what became of gateways' breakers, and of what people made of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Named, Table, Text, TypedColumns, Uuid, text

from db.metadata import metadata, moment


class GatewayBreakerChangeColumns(TypedColumns):
    id: Named[int] = Column(BigInteger(), Identity(always=True), primary_key=True)
    gateway: Named[str] = Column(Text())
    process: Named[str] = Column(Text())
    state: Named[str] = Column(Text())
    forced: Named[bool] = Column(server_default=text("false"))
    at: Named[datetime] = moment()


class GatewaySwitchColumns(TypedColumns):
    gateway: Named[str] = Column(Text(), primary_key=True)
    forced: Named[str] = Column(Text())
    note: Named[str] = Column(Text())
    actor: Named[UUID | None] = Column(Uuid())
    since: Named[datetime] = moment()


gateway_breaker_changes = Table("gateway_breaker_changes", metadata, GatewayBreakerChangeColumns)
gateway_switches = Table("gateway_switches", metadata, GatewaySwitchColumns)
