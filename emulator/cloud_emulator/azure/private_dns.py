"""Microsoft.Network private DNS: zones, links to virtual networks and record sets."""

from __future__ import annotations

from .arm import styles
from .arm.resource import Body, Call, Record, ResourceType


class PrivateDnsZones(ResourceType):
    """Zones: global, async with ``202 {}``, deletable only without links."""

    type = "Microsoft.Network/privateDnsZones"
    model = "azure.mgmt.privatedns.models.PrivateZone"
    location = "global"
    styles = styles.PRIVATE_DNS
    etags = True

    def complete(self, call: Call, record: Record, before: Record | None) -> None:
        """Azure's limits, and the counts that a GET shows."""
        limits: Body = {"maxNumberOfRecordSets": 25000, "maxNumberOfVirtualNetworkLinks": 1000, "maxNumberOfVirtualNetworkLinksWithRegistration": 100}
        record.properties.update(limits)
