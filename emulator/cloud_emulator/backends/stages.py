"""What kwok does with nodes and pods: nodes become Ready; pods become Ready at once, those of Jobs complete, and deleted ones go.

Pods that the emulator runs itself (see workloads) and pods whose image cannot be pulled are left out: nobody but the emulator says how they are.
"""

from __future__ import annotations

import re
import typing as t

RUN_IMAGES = ("metadata_service", "metaflow_ui")  # parts of the names of the images whose programs are really run


def configuration(missing_images: t.Sequence[str] = ()) -> str:
    """kwok's configuration file; `missing_images` are parts of image names that no registry has."""
    pattern = "|".join(re.escape(part) for part in (*RUN_IMAGES, *missing_images)).replace("\\", "\\\\")
    return _DOCUMENTS.replace("@NOT_OURS@", _NOT_OURS.replace("@PATTERN@", pattern))


# A jq expression; each key of a stage's selector is one.
_NOT_OURS = """- {key: '.spec.containers[], (.spec.initContainers // [])[] | .image | select(test("@PATTERN@"))', operator: DoesNotExist}"""

_DOCUMENTS = """\
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-initialize}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      {{ range NodeConditions }}
      - lastHeartbeatTime: {{ $now | Quote }}
        lastTransitionTime: {{ $now | Quote }}
        message: {{ .message | Quote }}
        reason: {{ .reason | Quote }}
        status: {{ .status | Quote }}
        type: {{ .type | Quote }}
      {{ end }}
      phase: Running
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.podIP', operator: DoesNotExist}
    @NOT_OURS@
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      {{ range $type := list "PodReadyToStartContainers" "Initialized" "Ready" "ContainersReady" }}
      - lastTransitionTime: {{ $now | Quote }}
        status: "True"
        type: {{ $type | Quote }}
      {{ end }}
      {{ range .spec.readinessGates }}
      - lastTransitionTime: {{ $now | Quote }}
        status: "True"
        type: {{ .conditionType | Quote }}
      {{ end }}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        started: true
        state:
          running:
            startedAt: {{ $now | Quote }}
      {{ end }}
      initContainerStatuses:
      {{ range .spec.initContainers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        {{ if eq .restartPolicy "Always" }}
        started: true
        state:
          running:
            startedAt: {{ $now | Quote }}
        {{ else }}
        state:
          terminated:
            exitCode: 0
            finishedAt: {{ $now | Quote }}
            reason: Completed
            startedAt: {{ $now | Quote }}
        {{ end }}
      {{ end }}
      hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
      {{ $host := or .spec.hostNetwork false }}
      podIP: {{ PodIPWith .spec.nodeName $host ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) | Quote }}
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-complete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Running]}
    - {key: '.metadata.ownerReferences.[].kind', operator: In, values: [Job]}
    @NOT_OURS@
  next:
    statusTemplate: |
      {{ $now := Now }}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: false
        restartCount: 0
        started: false
        state:
          terminated:
            exitCode: 0
            finishedAt: {{ $now | Quote }}
            reason: Completed
            startedAt: {{ $now | Quote }}
      {{ end }}
      conditions:
      {{ range $type := list "Ready" "ContainersReady" }}
      - lastTransitionTime: {{ $now | Quote }}
        reason: PodCompleted
        status: "False"
        type: {{ $type | Quote }}
      {{ end }}
      phase: Succeeded
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: Exists}
    @NOT_OURS@
  next:
    delete: true
"""
