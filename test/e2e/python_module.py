"""What gmem.py says of an array under the preload, and does to it. Prints "ok NAME" or "not ok NAME"; run by python_test.sh."""
import sys

import numpy as np

import gmem

failed = 0


def check(name, holds, why=''):
    global failed
    print(f'ok {name}' if holds else f'not ok {name}\n    {why}')
    failed |= not holds


def fails(error, fn, *args):
    try:
        fn(*args)
    except error as e:
        return str(e) or True
    return False


n = 512
a, b = np.ones((n, n)), np.ones((n, n))  # 2 MiB each, which share their first and last page with malloc's own words


def inner(array):
    return array.reshape(-1)[n:-n]


pages = len(gmem.query(inner(a)))
check('pages begin on the host', gmem.where(inner(a)) == {'host': pages} and gmem.nodes() == [], gmem.where(inner(a)))
c = a @ b
(node,) = gmem.nodes()
check('a product has them on the device', gmem.where(inner(a)) == {f'device {node}': pages}, gmem.where(inner(a)))
check('the node knows of them', gmem.node(node).used_bytes >= a.nbytes and gmem.node(node).faults > 0, gmem.node(node))
check('and the counters', gmem.counters().to_device_bytes >= 2 * a.nbytes, gmem.counters())
check('the CPU has no right to them', gmem.query(inner(a))[0].cpu == '' and gmem.query(inner(a))[0].device == 'rw', gmem.query(inner(a))[0])
total = a.sum()
check('a sum brings them home', total == n * n and 'host' in gmem.where(inner(a)), gmem.where(inner(a)))
gmem.prefetch(a, node)
check('prefetch moves them', gmem.where(inner(a)) == {f'device {node}': pages}, gmem.where(inner(a)))
gmem.pinned(a)
check('pinned: home, and there to stay', gmem.where(inner(a)) == {'host': pages} and gmem.query(a)[7].pinned, gmem.where(inner(a)))
gmem.pinned(a, False)
check('and no more', not gmem.query(a)[7].pinned)
gmem.read_mostly(a)
gmem.prefer(a, node)
gmem.accessed_by(a, node)
check('hints are told', gmem.hints(a) == (True, node, [node], None), gmem.hints(a))
gmem.prefer(a, node, system=True)
check('only pages of the host', gmem.hints(a).preferred == node)
gmem.atomic(a, 'global')
check('atomic access', gmem.hints(a).atomic == 'global', gmem.hints(a))
gmem.atomic(a, None)
gmem.read_mostly(a, False)
gmem.prefer(a, None)
gmem.accessed_by(a, node, False)
check('and taken back', gmem.hints(a) == (False, None, [], None), gmem.hints(a))
a[:] = 7
gmem.copy(b, a, node)
check('copy brings the destination to a node', gmem.query(b)[pages // 2].node == node and (b == 7).all(), gmem.where(b))
part = a.reshape(-1)[512:1024]
start = part.ctypes.data
gmem.discard((start // 4096 * 4096, 4096))
check('discard: zeros', (a == 0).any() and (a == 7).any())
check('read-only buffers', gmem.where(np.frombuffer(bytes(1 << 20))) != {})
check('an unknown node is an error', fails(OSError, gmem.node, 5))
check('memory that is no managed memory is one', fails(OSError, gmem.prefetch, (0x1000, 4096), node))
check('so is a buffer with gaps', fails(ValueError, gmem.where, a[:, ::2]))
check('and copies of two sizes', fails(ValueError, gmem.copy, a, b[:1]))
check('the array is what numpy says', (c == n).all())
sys.exit(failed)
