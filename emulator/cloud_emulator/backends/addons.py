"""What an AKS cluster has from the start and users count on: storage classes and a default priority."""

from __future__ import annotations

from .kubernetes_api import Api, Object

DISK, FILE = "disk.csi.azure.com", "file.csi.azure.com"


def _storage_class(name: str, provisioner: str, parameters: dict[str, str], *, default: bool = False) -> Object:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    labels = {"addonmanager.kubernetes.io/mode": "EnsureExists", "kubernetes.io/cluster-service": "true"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "provisioner": provisioner,
        "parameters": parameters,
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer" if provisioner == DISK else "Immediate",
    }


STORAGE_CLASSES = (
    _storage_class("default", DISK, {"skuname": "StandardSSD_LRS"}, default=True),
    _storage_class("managed", DISK, {"cachingmode": "ReadOnly", "kind": "Managed", "storageaccounttype": "StandardSSD_LRS"}),
    _storage_class("managed-csi", DISK, {"skuname": "StandardSSD_LRS"}),
    _storage_class("managed-csi-premium", DISK, {"skuname": "Premium_LRS"}),
    _storage_class("managed-premium", DISK, {"cachingmode": "ReadOnly", "kind": "Managed", "storageaccounttype": "Premium_LRS"}),
    _storage_class("azurefile", FILE, {"skuName": "Standard_LRS"}),
    _storage_class("azurefile-csi", FILE, {"skuName": "Standard_LRS"}),
)


async def install(api: Api) -> None:
    """Make what is missing; what users changed stays."""
    for storage_class in STORAGE_CLASSES:
        await api.create("/apis/storage.k8s.io/v1/storageclasses", storage_class)
