"""faiss flat and hnswlib, over vectors that the other side wrote to files.

hnswlib gets the extra coordinate sqrt(M^2 - |x|^2) too, without which it finds three quarters of the
best at most. Jobs answer with seconds an operation, and with what they found beside.
"""

import json
import sys
import time

import faiss
import hnswlib
import numpy as np

faiss.omp_set_num_threads(1)
TOP = 100
data, graphs = {}, {}


def load(folder, dim):
    if folder not in data:
        x = np.fromfile(folder + "/rows.f32", np.float32).reshape(-1, dim)
        q = np.fromfile(folder + "/queries.f32", np.float32).reshape(-1, dim)
        flat = faiss.IndexFlatIP(dim)
        flat.add(x)
        data[folder] = x, q, flat
    return data[folder]


def found(rows, truth):
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(rows, truth)]) / TOP)


def flat(folder, dim, queries):
    _, q, index = load(folder, dim)
    start = time.perf_counter()
    for i in range(queries):
        index.search(q[i : i + 1], TOP)
    return {"seconds": (time.perf_counter() - start) / queries, "recall": 1.0}


def build(folder, dim, threads):
    x, _, _ = load(folder, dim)
    squares = (x.astype(np.float64) ** 2).sum(1)
    longer = np.hstack([x, np.sqrt(squares.max() - squares)[:, None]]).astype(np.float32)
    graph = hnswlib.Index("l2", dim + 1)
    start = time.perf_counter()
    graph.init_index(len(x), M=16, ef_construction=100, random_seed=1)
    graph.add_items(longer, num_threads=threads)
    graphs[folder] = graph
    return {"seconds": time.perf_counter() - start}


def search(folder, dim, width, queries, passes):
    _, q, index = load(folder, dim)
    graph = graphs[folder]
    graph.set_ef(width)
    longer = np.hstack([q[:queries], np.zeros((queries, 1), np.float32)]).astype(np.float32)
    best, rows = None, None
    for _ in range(passes):
        start = time.perf_counter()
        rows, _ = graph.knn_query(longer, TOP, num_threads=1)
        spent = (time.perf_counter() - start) / queries
        best = spent if best is None else min(best, spent)
    _, truth = index.search(q[:queries], TOP)
    return {"seconds": best, "recall": found(rows, truth)}


jobs = {"flat": flat, "build": build, "search": search}
print(json.dumps({"name": f"faiss {faiss.__version__}, hnswlib 0.8.0"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = jobs[request.pop("job")](**request)
    except Exception as e:  # the other side reports it
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
