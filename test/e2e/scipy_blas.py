"""scipy.linalg.blas: the thirty BLAS-3 routines by their Fortran names, with every option; checksums of the results."""
import hashlib
import itertools

import numpy as np
from scipy.linalg import blas

rng = np.random.default_rng(7)
N, M, K = 96, 80, 112


def matrix(rows, cols, kind):
    x = rng.standard_normal((rows, cols))
    if kind in "cz":
        x = x + 1j * rng.standard_normal((rows, cols))
    return np.asfortranarray(x.astype({"s": "f4", "d": "f8", "c": "c8", "z": "c16"}[kind]))


def show(name, options, x):
    print(name, *options, hashlib.sha256(x.tobytes(order="F")).hexdigest()[:16], flush=True)


def each(**options):
    for values in itertools.product(*options.values()):
        yield dict(zip(options, values))


for kind in "sdcz":
    scalars = (0, 1, 0.75 if kind in "sd" else 0.75 - 0.5j)
    for name in ("gemm", "symm", "hemm"):
        call = getattr(blas, kind + name, None)
        if not call:
            continue
        options = dict(alpha=scalars, beta=scalars)
        if name == "gemm":
            options |= dict(trans_a=(0, 1, 2), trans_b=(0, 1, 2))
        else:
            options |= dict(side=(0, 1), lower=(0, 1))
        for o in each(**options):
            if name == "gemm":
                a = matrix(*((M, K) if not o["trans_a"] else (K, M)), kind)
                b = matrix(*((K, N) if not o["trans_b"] else (N, K)), kind)
            else:
                a = matrix(*((N, N) if o["side"] else (M, M)), kind)
                b = matrix(M, N, kind)
            show(kind + name, o.values(), call(a=a, b=b, c=matrix(M, N, kind), **o))
    for name in ("syrk", "herk", "syr2k", "her2k"):
        call = getattr(blas, kind + name, None)
        if not call:
            continue
        trans = (0, 2) if name[0] == "h" else (0, 1)
        real = name == "herk"
        for o in each(
            alpha=scalars[: 2 if real else 3], beta=(0, 1, 0.25), trans=trans, lower=(0, 1)
        ):
            shape = (K, N) if o["trans"] else (N, K)
            operands = dict(a=matrix(*shape, kind), c=matrix(N, N, kind))
            if name.endswith("2k"):
                operands["b"] = matrix(*shape, kind)
            show(kind + name, o.values(), call(**operands, **o))
    for name in ("trmm", "trsm"):
        call = getattr(blas, kind + name)
        for o in each(alpha=scalars, side=(0, 1), lower=(0, 1), trans_a=(0, 1, 2), diag=(0, 1)):
            order = N if o["side"] else M
            a = matrix(order, order, kind) + 20 * np.eye(order)
            a = np.asfortranarray(a.astype(matrix(1, 1, kind).dtype)) / 20
            show(kind + name, o.values(), call(a=a, b=matrix(M, N, kind), **o))
