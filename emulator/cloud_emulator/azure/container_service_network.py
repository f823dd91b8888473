"""Network rules of a managed cluster: plugins and what goes with them, address ranges, the subnets of its pools."""

from __future__ import annotations

import ipaddress
import typing as t

from .arm.errors import ArmError
from .arm.resource import Body, Record

if t.TYPE_CHECKING:
    from .arm.manager import ResourceManager

RESERVED_ADDRESSES = 5  # Azure keeps five addresses of every subnet
SUBNET = "Microsoft.Network/virtualNetworks/subnets"
#: network policies, by plugin; cilium needs its own data plane
POLICIES = {"azure": {"none", "azure", "calico", "cilium"}, "kubenet": {"none", "calico"}, "none": {"none"}}
MAX_PODS = {"overlay": 250, "kubenet": 110, "none": 250, "azure": 30}


def refusal(code: str, message: str, target: str = "", status: int = 400) -> ArmError:
    """An error as AKS words it before it starts an operation: without the `error` wrapper."""
    extra = {"details": None, "subcode": "", **({"target": target} if target else {})}
    return ArmError(status, code, message, flat=True, extra=extra)


def with_defaults(wanted: Body, before: Body | None) -> Body:
    """The whole network profile of what was asked for; a cluster without a wish gets Azure CNI overlay."""
    profile: Body = {**(before or {}), **{name: value for name, value in wanted.items() if value is not None}}
    if not profile.get("networkPlugin"):
        profile.update(networkPlugin="azure", networkPluginMode="overlay")
    cilium = profile.get("networkDataplane") == "cilium"
    profile.setdefault("networkPolicy", "cilium" if cilium else "none")
    if profile["networkPlugin"] == "azure":
        profile.setdefault("networkDataplane", "azure")
    profile["loadBalancerSku"] = str(profile.get("loadBalancerSku", "standard")).lower()
    profile.setdefault("outboundType", "loadBalancer")
    if profile["outboundType"] == "loadBalancer":
        profile.setdefault("loadBalancerProfile", {"managedOutboundIPs": {"count": 1}, "backendPoolType": "nodeIPConfiguration"})
    elif profile["outboundType"] == "managedNATGateway":
        profile.setdefault("natGatewayProfile", {"managedOutboundIPProfile": {"count": 1}, "idleTimeoutInMinutes": 4})
    if profile["networkPlugin"] == "kubenet" or profile.get("networkPluginMode") == "overlay":
        profile.setdefault("podCidr", "10.244.0.0/16")
        profile["podCidrs"] = [profile["podCidr"]]
    profile.setdefault("serviceCidr", "10.0.0.0/16")
    if not profile.get("dnsServiceIP") and (service := _network(profile["serviceCidr"])) is not None and service.num_addresses > 10:
        profile["dnsServiceIP"] = str(service[10])
    profile["serviceCidrs"] = [profile["serviceCidr"]]
    profile.setdefault("ipFamilies", ["IPv4"])
    return profile


def max_pods(profile: Body) -> int:
    """Pods that a node takes where its pool says nothing."""
    return MAX_PODS["overlay" if profile.get("networkPluginMode") == "overlay" else profile["networkPlugin"]]


def check_profile(profile: Body) -> None:
    """Raise ArmError for a profile whose parts don't fit each other."""
    plugin, policy = profile["networkPlugin"], profile["networkPolicy"]
    if profile.get("networkPluginMode") == "overlay" and plugin != "azure":
        raise refusal("InvalidParameter", f"networkPluginMode overlay can't be used with networkPlugin {plugin}.", "networkProfile.networkPluginMode")
    if policy not in POLICIES[plugin]:
        raise refusal(
            "NetworkPolicyNotSupported", f"networkPolicy {policy} is not supported with networkPlugin {plugin}.", "networkProfile.networkPolicy"
        )
    cilium = profile.get("networkDataplane") == "cilium"
    if cilium and plugin != "azure":
        raise refusal("InvalidParameter", f"networkDataplane cilium can't be used with networkPlugin {plugin}.", "networkProfile.networkDataplane")
    if cilium != (policy == "cilium") and not (cilium and policy == "none"):
        message = f"networkPolicy {policy} can't be used with networkDataplane {profile.get('networkDataplane')}."
        raise refusal("InvalidParameter", message, "networkProfile.networkPolicy")
    if profile["loadBalancerSku"] == "basic":
        message = "Basic load balancer is retired; use loadBalancerSku standard."
        raise refusal("BasicLoadBalancerNotSupported", message, "networkProfile.loadBalancerSku")
    _check_ranges(profile)


def _check_ranges(profile: Body) -> None:
    service = _network(profile["serviceCidr"])
    if service is None or service.prefixlen < 12:
        message = f"The service CIDR {profile['serviceCidr']} is invalid: it must be an IPv4 range no larger than /12."
        raise refusal("InvalidServiceCidr", message, "networkProfile.serviceCIDR")
    try:
        inside = ipaddress.IPv4Address(profile.get("dnsServiceIP", "")) in service
    except ValueError:
        inside = False
    if not inside or profile["dnsServiceIP"] in (str(service[0]), str(service[1])):
        message = (
            f"The specified DNS service IP {profile.get('dnsServiceIP')} is invalid: "
            f"it must be within the service CIDR {service} and not its first address."
        )
        raise refusal("InvalidDNSServiceIP", message, "networkProfile.dnsServiceIP")
    if "podCidr" in profile:
        pods = _network(profile["podCidr"])
        if pods is None:
            raise refusal("InvalidPodCidr", f"The pod CIDR {profile['podCidr']} is invalid.", "networkProfile.podCIDR")
        if pods.overlaps(service):
            message = f"The specified pod CIDR {pods} is conflicted with the service CIDR {service}."
            raise refusal("PodCidrOverlapServiceCidr", message, "networkProfile.podCIDR")


def check_subnets(manager: ResourceManager, profile: Body, pools: list[Body], location: str) -> None:
    """Raise ArmError for subnets that the pools (as whole profiles with name) can't live in, or that the cluster's ranges run into."""
    found = {subnet_id.lower(): _subnet(manager, subnet_id, location) for pool in pools if (subnet_id := pool.get("vnetSubnetID"))}
    networks = {subnet.id.lower().partition("/subnets/")[0] for subnet in found.values()}
    if len(networks) > 1 or (found and len(found) and any(not pool.get("vnetSubnetID") for pool in pools)):
        raise refusal("InvalidParameter", "All agent pools must be in the same virtual network.", "agentPoolProfile.vnetSubnetID")
    for network in networks:
        for subnet in manager.children(network, SUBNET):
            _check_overlap(profile, subnet)
    for subnet_id, subnet in found.items():
        _check_room(profile, [pool for pool in pools if str(pool.get("vnetSubnetID", "")).lower() == subnet_id], subnet)


def _subnet(manager: ResourceManager, subnet_id: str, location: str) -> Record:
    subnet = manager.get(subnet_id)
    if subnet is None:
        raise refusal("SubnetNotFound", f"The subnet '{subnet_id}' could not be found.", "agentPoolProfile.vnetSubnetID", 404)
    if manager.location_of(subnet) != location:
        message = f"The virtual network of subnet '{subnet_id}' is not in the cluster's location '{location}'."
        raise refusal("VnetLocationMismatch", message, "agentPoolProfile.vnetSubnetID")
    delegations = subnet.properties.get("delegations") or []
    if delegations:
        service = delegations[0]["properties"]["serviceName"]
        raise refusal(
            "SubnetIsDelegated", f"Subnet {subnet_id} is delegated to {service} and can't be used by a cluster.", "agentPoolProfile.vnetSubnetID"
        )
    return subnet


def _check_overlap(profile: Body, subnet: Record) -> None:
    service = _network(profile["serviceCidr"])
    pods = _network(profile.get("podCidr", ""))
    for prefix in _prefixes(subnet):
        if service is not None and prefix.overlaps(service):
            message = f"The specified service CIDR {service} is conflicted with an existing subnet CIDR {prefix}"
            raise refusal("ServiceCidrOverlapExistingSubnetsCidr", message, "networkProfile.serviceCIDR")
        if pods is not None and prefix.overlaps(pods):
            message = f"The specified pod CIDR {pods} is conflicted with an existing subnet CIDR {prefix}"
            raise refusal("PodCidrOverlapExistingSubnetsCidr", message, "networkProfile.podCIDR")


def _check_room(profile: Body, pools: list[Body], subnet: Record) -> None:
    """Azure CNI without overlay gives every pod an address of the subnet, allotted with the node."""
    flat = profile["networkPlugin"] == "azure" and profile.get("networkPluginMode") != "overlay"
    needed = sum(pool["count"] * (1 + pool["maxPods"] if flat and not pool.get("podSubnetID") else 1) for pool in pools)
    room = sum(prefix.num_addresses - RESERVED_ADDRESSES for prefix in _prefixes(subnet))
    if needed > room:
        cidr = ",".join(str(prefix) for prefix in _prefixes(subnet))
        message = f"Pre-allocated IPs {needed} exceeds IPs available {room} in Subnet Cidr {cidr}, Subnet Name {subnet.name}. http://aka.ms/aks/insufficientsubnetsize"
        raise refusal("InsufficientSubnetSize", message, "agentPoolProfile.count")


def _network(cidr: str) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError:
        return None


def _prefixes(subnet: Record) -> list[ipaddress.IPv4Network]:
    texts = subnet.properties.get("addressPrefixes") or [subnet.properties.get("addressPrefix", "")]
    return [network for text in texts if (network := _network(text)) is not None]
