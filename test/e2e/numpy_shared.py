"""Products of matrices that lie in shared memory: files, POSIX segments, anonymous mappings that children have, too."""
import mmap
import multiprocessing
import tempfile
from multiprocessing import shared_memory

import numpy

N = 64


def fill(a, add):
    a[:] = (numpy.arange(a.size).reshape(a.shape) * 7 + add) % 17


def show(name, a):
    print(name, float(a.sum()), float(a[3, 5]), flush=True)


def in_file():
    with tempfile.NamedTemporaryFile() as f:
        a = numpy.memmap(f.name, dtype="d", mode="w+", shape=(N, N))
        fill(a, 1)
        show("memmap", a @ a)
        numpy.matmul(a, a, out=a)
        a.flush()
        show("in the file", numpy.fromfile(f.name, dtype="d").reshape(N, N))


def in_segment():
    shm = shared_memory.SharedMemory(create=True, size=3 * N * N * 8)
    m = numpy.ndarray((3, N, N), dtype="d", buffer=shm.buf)
    fill(m[0], 2)
    fill(m[1], 3)
    numpy.matmul(m[0], m[1], out=m[2])
    show("segment", m[2])
    del m
    shm.close()
    shm.unlink()


def with_child():
    m = numpy.ndarray((2, N, N), dtype="d", buffer=mmap.mmap(-1, 2 * N * N * 8))
    child = multiprocessing.get_context("fork").Process(target=fill, args=(m[0], 4))
    child.start()
    child.join()
    numpy.matmul(m[0], m[0], out=m[1])
    show("from a child", m[1])


in_file()
in_segment()
with_child()
