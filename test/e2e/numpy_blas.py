"""numpy's products in all types, orders and views: prints a checksum of the exact bytes of every result.

usage: numpy_blas.py views | large MIB     (large: a chain of products over a working set of so many MiB)
"""
import hashlib
import sys

import numpy as np

rng = np.random.default_rng(20240229)


def matrix(rows, cols, dtype):
    real = rng.standard_normal((rows, cols))
    if np.dtype(dtype).kind == "c":
        return (real + 1j * rng.standard_normal((rows, cols))).astype(dtype)
    return real.astype(dtype)


def show(name, x):
    print(name, x.dtype, x.shape, hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16], flush=True)


def views():
    n = 160
    for dtype in (np.float32, np.float64, np.complex64, np.complex128):
        a, b, c = matrix(n, n, dtype), matrix(n, n, dtype), matrix(2 * n, 3 * n, dtype)
        show("a@b", a @ b)
        show("a.T@b", a.T @ b)
        show("a@b.T", a @ b.T)
        show("a.T@b.T", a.T @ b.T)
        show("a@a.T", a @ a.T)  # syrk
        show("a.T@a", a.T @ a)
        show("a@a.conj().T", a @ a.conj().T)
        show("fortran order", np.asfortranarray(a) @ b)
        show("columns of a wider matrix", c[:n, 7 : 7 + n] @ a)
        show("rows of a taller matrix", c[n : 2 * n, :] @ c[:n, :].T)
        show("transposed view", c[3 : 3 + n, 5 : 5 + n].T @ b)
        show("every second row", c[::2, :n] @ a)
        show("every third column", c[:n, ::3] @ b)
        show("backwards", a[::-1, ::-1] @ b)
        show("stack", np.stack([a, b, a]) @ np.stack([b, a, a]))
        show("dot", np.dot(a, b))
        show("tensordot", np.tensordot(c.reshape(2 * n, 3, n), a, axes=([2], [0])))
        show("einsum", np.einsum("ij,jk->ik", a, b, optimize=True))
        out = np.full((n, n), np.nan, dtype)
        np.matmul(a, b, out=out)
        show("into NaN", out)
        out = np.full((n, 2 * n), np.nan, dtype)
        np.matmul(a, b, out=out[:, 3 : 3 + n])
        show("into a view", out[:, 3 : 3 + n])
        show("rectangular", c @ c[:n, :].T)
        show("inner", np.inner(a, c[:, :n]))
        show("matrix_power", np.linalg.matrix_power(a / n, 5))
        spd = a @ a.conj().T + n * np.eye(n, dtype=dtype)
        show("cholesky", np.linalg.cholesky(spd))
        show("solve", np.linalg.solve(spd, b))
        show("inv", np.linalg.inv(spd))
        show("qr", np.linalg.qr(a)[1])
        show("svd", np.linalg.svd(a)[1])
        show("eigvalsh", np.linalg.eigvalsh(spd))


def large(mib):
    n = 1024
    count = mib * 1024 * 1024 // (n * n * 8)
    x = [matrix(n, n, np.float64) / 32 for _ in range(count)]
    for turn in range(2):
        for i in range(count):
            x[i] = x[i - 1] @ x[i] + x[(i + count // 2) % count]
            x[i] /= np.abs(x[i]).max()
        show(f"turn {turn}", x[turn])
    for i, each in enumerate(x):
        show(f"matrix {i}", each)


if sys.argv[1] == "views":
    views()
else:
    large(int(sys.argv[2]))
