"""OpenBLAS, the one that scipy brings along, called through ctypes."""

import ctypes
import glob
import os

import numpy as np
import scipy

from peerworker import Job, serve

ROW_MAJOR, NO_TRANS, TRANS, UPPER = 101, 111, 112, 121
c_int, c_float = ctypes.c_int, ctypes.c_float


def load():
    import scipy.linalg.cython_blas  # noqa: F401  loads the library and what it needs

    libs = os.path.join(os.path.dirname(scipy.__file__), "..", "scipy.libs", "libscipy_openblas-*.so")
    return ctypes.CDLL(glob.glob(libs)[0])


blas = load()
blas.scipy_cblas_sdot.restype = c_float


def random(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def pointer(a):
    return a.ctypes.data_as(ctypes.c_void_p)


def repeated(f, args):
    def run(n):
        for _ in range(n):
            f(*args)

    return run


def sdot(d, rows):
    """All rows in one call of numpy's vecdot, which calls cblas_sdot in a loop in C."""
    q, m, out = random(d), random(rows, d), np.empty(rows, np.float32)
    q0, m0, out0 = q[:1], m[:0, :1], out[:0]

    def run(n):
        for _ in range(n):
            np.vecdot(m, q, out=out)

    def overhead(n):
        for _ in range(n):
            np.vecdot(m0, q0, out=out0)

    return Job(run, overhead)


def sgemv(d, rows):
    q, m, out = random(d), random(rows, d), np.empty(rows, np.float32)
    f = blas.scipy_cblas_sgemv

    def args(r, c):
        return [c_int(ROW_MAJOR), c_int(NO_TRANS), c_int(r), c_int(c), c_float(1), pointer(m), c_int(d),
                pointer(q), c_int(1), c_float(0), pointer(out), c_int(1)]

    return Job(repeated(f, args(rows, d)), repeated(f, args(0, 0)))


def sgemm(m, n, k):
    a, b, c = random(m, k), random(k, n), np.empty((m, n), np.float32)
    f = blas.scipy_cblas_sgemm

    def args(m_, n_, k_):
        return [c_int(ROW_MAJOR), c_int(NO_TRANS), c_int(NO_TRANS), c_int(m_), c_int(n_), c_int(k_), c_float(1),
                pointer(a), c_int(k), pointer(b), c_int(n), c_float(0), pointer(c), c_int(n)]

    return Job(repeated(f, args(m, n, k)), repeated(f, args(0, 0, 0)))


def ssyrk(rows, k):
    """The rows lie side by side already: the peer does not pay for gathering them."""
    y, c = random(rows, k), np.empty((k, k), np.float32)
    f = blas.scipy_cblas_ssyrk

    def args(n_, k_):
        return [c_int(ROW_MAJOR), c_int(UPPER), c_int(TRANS), c_int(n_), c_int(k_), c_float(1), pointer(y), c_int(k),
                c_float(0), pointer(c), c_int(k)]

    return Job(repeated(f, args(k, rows)), repeated(f, args(0, 0)))


def spotrf(k):
    copies = 8
    x = random(2 * k, k)
    a = x.T @ x + np.eye(k, dtype=np.float32)
    work = np.empty((copies, k, k), np.float32)
    info, lower = c_int(0), ctypes.c_char_p(b"L")
    f = blas.scipy_spotrf_
    f.restype = None
    calls = [(lower, ctypes.byref(c_int(k)), pointer(w), ctypes.byref(c_int(k)), ctypes.byref(info)) for w in work]
    nothing = (lower, ctypes.byref(c_int(0)), pointer(work), ctypes.byref(c_int(k)), ctypes.byref(info))

    def run(n):
        for args in calls:
            f(*args)

    def reset():
        if info.value:
            raise RuntimeError(f"spotrf: info {info.value}")
        work[:] = a

    return Job(run, repeated(f, nothing), reset, copies)


if __name__ == "__main__":
    blas.scipy_openblas_get_config.restype = ctypes.c_char_p
    blas.scipy_openblas_get_corename.restype = ctypes.c_char_p
    blas.scipy_openblas_set_num_threads(1)
    serve(
        f"OpenBLAS {blas.scipy_openblas_get_config().decode().split()[1]} of scipy {scipy.__version__}"
        f" for {blas.scipy_openblas_get_corename().decode()}",
        {"sdot": sdot, "sgemv": sgemv, "sgemm": sgemm, "ssyrk": ssyrk, "spotrf": spotrf},
    )
