"""implicit, and SciPy where implicit has no such model: one model a process.

A JSON line says what to train on and how, a JSON line answers with the CPU seconds of each iteration
(user and system, of all threads), the wall seconds, and the peak of the process's memory.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # implicit has threads of its own

import json
import sys
import time

import implicit
import numpy as np
import scipy
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import CosineRecommender


def pairs(folder, value=1.0):
    b = np.memmap(folder + "/pairs.bin", np.uint8, "r")
    users, items = b[:16].view(np.int64)
    starts = 16 + 8 * (users + 1)
    ptr, cols = b[16:starts].view(np.int64), b[starts:].view(np.int32)
    return sp.csr_matrix((np.full(len(cols), value, np.float32), cols.astype(np.int32), ptr.astype(np.int32)), (users, items))


def peak():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


class Clock:
    """CPU and wall seconds between its calls."""

    def __init__(self):
        self.cpu, self.wall, self.at = [], [], (time.process_time(), time.perf_counter())

    def __call__(self, *_):
        now = time.process_time(), time.perf_counter()
        self.cpu.append(now[0] - self.at[0])
        self.wall.append(now[1] - self.at[1])
        self.at = now

    def answer(self):
        return {"cpu": self.cpu, "wall": self.wall, "peak_mb": peak()}


def ials(folder, factors, solver, iterations, threads, confidence, regularisation, start, out):
    m = pairs(folder, confidence)
    model = AlternatingLeastSquares(factors=factors, regularization=regularisation, alpha=1.0, iterations=iterations,
                                    use_cg=solver == "cg", num_threads=threads, random_state=1)
    model.item_factors = np.fromfile(start, np.float32).reshape(-1, factors)
    clock = Clock()
    model.fit(m, show_progress=False, callback=clock)
    answer = clock.answer()
    model.item_factors.tofile(out)
    return answer


def bpr(folder, factors, iterations, threads, out):
    m = pairs(folder)
    model = BayesianPersonalizedRanking(factors=factors, iterations=iterations, num_threads=threads, random_state=1)
    clock = Clock()
    model.fit(m, show_progress=False, callback=clock)
    return clock.answer()


def save(out, similarity):
    """The neighbours of each item, itself left out, as pairs of rows."""
    coo = similarity.tocoo()
    keep = (coo.row != coo.col) & (coo.data != 0)
    np.stack([coo.row[keep], coo.col[keep]], 1).astype(np.int32).tofile(out)


def cosine(folder, neighbours, threads, out):
    m = pairs(folder)
    clock = Clock()
    model = CosineRecommender(K=neighbours + 1, num_threads=threads)  # an item is a neighbour of itself
    model.fit(m, show_progress=False)
    clock()
    answer = clock.answer()
    save(out, model.similarity)
    return answer


def rp3beta(folder, neighbours, threads, out, alpha, beta, block=256):
    """Block by block of voted-on items, as the published code does: a product of sparse matrices, then the largest of each row."""
    m = pairs(folder).astype(np.float32)
    clock = Clock()
    users, items = (np.asarray(m.sum(axis)).ravel() for axis in (1, 0))
    power = lambda x, e: np.where(x > 0, np.maximum(x, 1) ** -e, 0).astype(np.float32)
    right = (sp.diags(power(users, alpha)) @ m @ sp.diags(power(items, alpha))).tocsr()
    left = (sp.diags(power(items, beta)) @ m.T).tocsr()
    rows, cols, values = [], [], []
    for lo in range(0, m.shape[1], block):
        part = (left[lo : lo + block] @ right).tocsr()
        for i in range(part.shape[0]):
            s = slice(part.indptr[i], part.indptr[i + 1])
            c, v = part.indices[s], part.data[s]
            other = c != lo + i
            c, v = c[other], v[other]
            if len(v) > neighbours:
                best = np.argpartition(v, len(v) - neighbours)[-neighbours:]
                c, v = c[best], v[best]
            rows.append(np.full(len(c), lo + i, np.int32))
            cols.append(c)
            values.append(v)
    w = sp.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))), (m.shape[1],) * 2)
    clock()
    answer = clock.answer()
    save(out, w)
    return answer


jobs = {"ials": ials, "bpr": bpr, "cosine": cosine, "rp3beta": rp3beta}
print(json.dumps({"name": f"implicit {implicit.__version__}, SciPy {scipy.__version__}"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = jobs[request.pop("job")](**request)
    except Exception as e:  # the other side reports it
        answer = {"error": f"{type(e).__name__}: {e}"}
    print(json.dumps(answer), flush=True)
