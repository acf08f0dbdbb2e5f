"""Opens a release of Attune and computes scores from its vectors.

    open_release.py DIRECTORY SAMPLES

SAMPLES is JSON: {"tensors": file, "items": tensor, "samples": [{"user":
[...], "scores": [...]}]}. Ends with 1 when a checksum is wrong or a score
differs by more than 1e-4. Needs numpy, pyarrow and safetensors.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file


def main(directory, samples):
    root = pathlib.Path(directory)
    raw = (root / "manifest.json").read_bytes()
    said = (root / "manifest.sha256").read_text().split()
    if said != [hashlib.sha256(raw).hexdigest(), "manifest.json"]:
        sys.exit("manifest.json is not as manifest.sha256 says")
    manifest = json.loads(raw)
    for f in manifest["files"]:
        b = (root / f["path"]).read_bytes()
        if len(b) != f["bytes"] or hashlib.sha256(b).hexdigest() != f["sha256"]:
            sys.exit(f"{f['path']} is not as the manifest says")

    items = pq.read_table(root / "items.parquet")
    if items.num_rows != manifest["items"] or items["row"].to_pylist() != list(range(items.num_rows)):
        sys.exit("items.parquet is not in row order")
    first = items.slice(0, 1).to_pylist()[0]
    if not first["id"] or not isinstance(first["category"], list) or not isinstance(first["prices"], list):
        sys.exit(f"items.parquet has an item {first}")

    with open(samples) as f:
        want = json.load(f)
    vectors = load_file(root / want["tensors"])[want["items"]]
    if vectors.shape[0] != items.num_rows:
        sys.exit(f"{vectors.shape[0]} vectors for {items.num_rows} items")
    worst = 0.0
    for s in want["samples"]:
        got = vectors @ np.array(s["user"], dtype=np.float32)
        worst = max(worst, float(np.abs(got - np.array(s["scores"])).max()))
    print(f"{manifest['version']}: {items.num_rows} items, {len(want['samples'])} shoppers, largest difference {worst:.2g}")
    if not worst <= 1e-4:
        sys.exit("scores differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
