"""Pods that run as processes of this machine: what a kubelet does for them, file by file.

files: volumes; environment: variables; commands: programs; probes; status: what the API server is told; container, pod: how they live.
"""
