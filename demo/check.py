"""Read a run of the demo's flow back with Metaflow's client and hold every value against what it must be: check.py RUN_ID."""

from __future__ import annotations

import sys

from flow import digest, shard_bytes
from metaflow import Run, Task, namespace

SHARDS = 3


def main() -> int:
    namespace(None)
    run = Run(f"DemoFlow/{sys.argv[1]}")
    data = [shard_bytes(number) for number in range(1, SHARDS + 1)]
    whole = b"".join(data)
    tasks = {task["number"].data: task for task in run["work"]}
    tag = "read-by-the-demo"
    run.add_tag(tag)
    facts = {
        "the run finished and succeeded": run.finished and run.successful,
        f"{SHARDS} shards were worked on": sorted(tasks) == list(range(1, SHARDS + 1)),
        "each shard's bytes (1 MB and more) came back whole": all(tasks[i + 1]["data"].data == expected for i, expected in enumerate(data)),
        "the join has the shards' digests in order": run.data.digests == [digest(shard) for shard in data],
        f"the joined artifact's {len(whole)} bytes came back whole": run["join"].task.data.everything == whole,
        "shard 2 was retried once, the others never": run.data.attempts == {1: 1, 2: 2, 3: 1},
        "the attempt that failed kept its log": "fails at its first attempt" in Task(tasks[2].pathspec, attempt=0).stderr,
        "the end's log came back": f"{SHARDS} shards, {len(whole)} bytes" in run["end"].task.stdout,
        "a tag was added": tag in Run(run.pathspec).user_tags,
    }
    for fact, holds in facts.items():
        print(f"  {'ok    ' if holds else 'WRONG '} {fact}")
    print(f"  {run.pathspec}, tags {', '.join(sorted(run.user_tags)) or 'none'}")
    return 0 if all(facts.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
