"""Azure's public regions, as ``GET /subscriptions/{id}/locations`` lists them: the ones that this subscription offers."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Region:
    """A region; without ``zones`` it has no availability zones."""

    name: str
    display_name: str
    geography: str
    physical: str
    latitude: str
    longitude: str
    paired: str
    zones: bool = True


REGIONS = (
    Region("eastus", "East US", "US", "Virginia", "37.3719", "-79.8164", "westus"),
    Region("eastus2", "East US 2", "US", "Virginia", "36.6681", "-78.3889", "centralus"),
    Region("centralus", "Central US", "US", "Iowa", "41.5908", "-93.6208", "eastus2"),
    Region("southcentralus", "South Central US", "US", "Texas", "29.4167", "-98.5", "northcentralus"),
    Region("northcentralus", "North Central US", "US", "Illinois", "41.8819", "-87.6278", "southcentralus", zones=False),
    Region("westus", "West US", "US", "California", "37.783", "-122.417", "eastus", zones=False),
    Region("westus2", "West US 2", "US", "Washington", "47.233", "-119.852", "westcentralus"),
    Region("westus3", "West US 3", "US", "Phoenix", "33.448376", "-112.074036", "eastus"),
    Region("westcentralus", "West Central US", "US", "Wyoming", "40.89", "-110.234", "westus2", zones=False),
    Region("canadacentral", "Canada Central", "Canada", "Toronto", "43.653", "-79.383", "canadaeast"),
    Region("canadaeast", "Canada East", "Canada", "Quebec", "46.817", "-71.217", "canadacentral", zones=False),
    Region("brazilsouth", "Brazil South", "South America", "Sao Paulo State", "-23.55", "-46.633", "southcentralus"),
    Region("northeurope", "North Europe", "Europe", "Ireland", "53.3478", "-6.2597", "westeurope"),
    Region("westeurope", "West Europe", "Europe", "Netherlands", "52.3667", "4.9", "northeurope"),
    Region("uksouth", "UK South", "UK", "London", "50.941", "-0.799", "ukwest"),
    Region("ukwest", "UK West", "UK", "Cardiff", "53.427", "-3.084", "uksouth", zones=False),
    Region("francecentral", "France Central", "Europe", "Paris", "46.3772", "2.3730", "francesouth"),
    Region("germanywestcentral", "Germany West Central", "Europe", "Frankfurt", "50.110924", "8.682127", "germanynorth"),
    Region("switzerlandnorth", "Switzerland North", "Europe", "Zurich", "47.451542", "8.564572", "switzerlandwest"),
    Region("norwayeast", "Norway East", "Europe", "Norway", "59.913868", "10.752245", "norwaywest"),
    Region("swedencentral", "Sweden Central", "Europe", "Gävle", "60.67488", "17.14127", "swedensouth"),
    Region("uaenorth", "UAE North", "Middle East", "Dubai", "25.266666", "55.316666", "uaecentral"),
    Region("southafricanorth", "South Africa North", "Africa", "Johannesburg", "-25.731340", "28.218370", "southafricawest"),
    Region("centralindia", "Central India", "Asia Pacific", "Pune", "18.5822", "73.9197", "southindia"),
    Region("eastasia", "East Asia", "Asia Pacific", "Hong Kong", "22.267", "114.188", "southeastasia"),
    Region("southeastasia", "Southeast Asia", "Asia Pacific", "Singapore", "1.283", "103.833", "eastasia"),
    Region("japaneast", "Japan East", "Asia Pacific", "Tokyo, Saitama", "35.68", "139.77", "japanwest"),
    Region("koreacentral", "Korea Central", "Asia Pacific", "Seoul", "37.5665", "126.9780", "koreasouth"),
    Region("australiaeast", "Australia East", "Asia Pacific", "New South Wales", "-33.86", "151.2094", "australiasoutheast"),
    Region("australiasoutheast", "Australia Southeast", "Asia Pacific", "Victoria", "-37.8136", "144.9631", "australiaeast", zones=False),
)

BY_NAME = {region.name: region for region in REGIONS}


def normal(location: str) -> str:
    """A location without spaces, in lower case: ``West US 2`` and ``westus2`` are the same."""
    return str(location).replace(" ", "").lower()
