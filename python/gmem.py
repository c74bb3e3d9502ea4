"""gmem from Python: where the pages of an array are, hints about where they should be, and the reports of runs.

    run-with-gmem python3 program.py        # numpy arrays lie in the address space that the CPU shares with devices

    import gmem
    gmem.where(a)                 # {'host': 2048} before, {'device 1024': 2048} after its product ran on the device
    gmem.prefetch(a, gmem.nodes()[0])
    gmem.pinned(a); gmem.read_mostly(a, False)
    gmem.counters().to_device_bytes
    gmem.report('run.json')['migrated']['h2d_bytes']

A buffer is whatever has memory that Python can show (numpy arrays, bytearray, memoryview, mmap) or a pair (address, bytes). Pages are of
4 KiB. Functions raise OSError with the errno that gmem.h names; ValueError for a buffer that is not contiguous.
"""
import collections
import ctypes
import json
import os

__all__ = ['HOST', 'Counters', 'Device', 'Hints', 'Node', 'Page', 'accessed_by', 'advise', 'atomic', 'copy', 'counters', 'discard', 'hints',
           'node', 'nodes', 'pinned', 'prefer', 'prefetch', 'query', 'read_mostly', 'report', 'version', 'where']

HOST = -1  # the node of the host's memory
PAGE = 4096
SONAME = 'libgmem.so.0'
_PREFETCH, _DISCARD = 26, 0x108
_PINNED, _READ_MOSTLY, _PREFERRED, _ACCESSED_BY = 0x100, 0x102, 0x104, 0x106  # each plus 1 takes it back
_PREFERRED_SYSTEM = 0x10a
_ATOMIC = {'device': 0x10c, 'global': 0x10d, 'cpu': 0x10e, None: 0x10f}


def _load():
    """Under the preload it is there already; else as ld.so finds it, in the tree's build folder, or beside an installation."""
    here = os.path.dirname(os.path.realpath(__file__))
    beside = [os.path.join(here, '..', 'build'), os.path.join(here, '..', '..')]
    for name in [SONAME] + [os.path.join(folder, SONAME) for folder in beside]:
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            first = name == SONAME and error or first
    raise ImportError(f'{first}; nor is it in ' + ' or '.join(map(os.path.normpath, beside)))


def _struct(name, fields):
    return type(name, (ctypes.Structure,), {'_fields_': fields})


_u8, _u32, _u64, _int, _ptr = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int, ctypes.c_void_p
_page_info = _struct('gm_page_info', [('where', _u8), ('hnid', ctypes.c_int16), ('cpu', _u8), ('device', _u8), ('pinned', _u8), ('kind', _u8)])
_hints_info = _struct('gm_hints_info', [('read_mostly', _u8), ('has_preferred', _u8), ('accessed_by_cpu', _u8), ('atomic', _u8), ('preferred', _int),
                                        ('accessed_by', _u32),
                                        ('accessed_hnid', _int * 8)])
_hnode_info = _struct('gm_hnode_info', [(f, _u64) for f in ('total_bytes', 'used_bytes', 'page_bytes', 'faults', 'faults_merged',
                                                            'evicted_bytes', 'modelled_ns')] + [('attached', _u32)])
_counters = _struct('gm_counters', [(f, _u64) for f in ('to_device_bytes', 'to_host_bytes', 'zeroed_pages', 'prefetched_pages',
                                                        'cpu_faults', 'managed_bytes', 'metadata_bytes', 'peer_bytes')])

Page = collections.namedtuple('Page', 'where node cpu device pinned')
Page.__doc__ = "One page: 'nomap', 'host', 'device', 'dup' or 'remote'; its device's node or HOST; rights ('', 'r', 'rw') of CPU and device"
Hints = collections.namedtuple('Hints', 'read_mostly preferred accessed_by atomic', defaults=[None])
Hints.__doc__ = "preferred: a node, HOST, or None; accessed_by: a list of nodes; atomic: 'device', 'global', 'cpu' or None"
Node = collections.namedtuple('Node', [f for f, _ in _hnode_info._fields_])
Counters = collections.namedtuple('Counters', [f for f, _ in _counters._fields_])
_WHERE = ('nomap', 'host', 'device', 'dup', 'remote')
_RIGHTS = ('', 'r', 'w', 'rw')

_lib = _load()
for _name, _args in {'gm_query': [_ptr, ctypes.c_size_t, _ptr], 'gm_query_hints': [_ptr, _ptr], 'gm_query_hnode': [_int, _ptr],
                     'gm_query_counters': [_ptr, ctypes.c_size_t], 'gm_is_hnode': [_int], 'gm_dev_hnid': [_ptr],
                     'hmadvise': [_int, _ptr, ctypes.c_size_t, _int], 'hmemcpy': [_int, _ptr, _ptr, ctypes.c_size_t],
                     'gm_sim_open': [ctypes.c_char_p, _ptr], 'gm_sim_attach': [_ptr, _ptr], 'gm_sim_close': [_ptr]}.items():
    getattr(_lib, _name).argtypes = _args
_lib.gm_version.restype = ctypes.c_char_p
_lib.gm_as_default.restype = _lib.gm_sim_dev.restype = _ptr
_lib.gm_sim_dev.argtypes = [_ptr]


def _check(result, what):
    if result < 0:
        raise OSError(-result, f'{what}: {os.strerror(-result)}')
    return result


class _Buffer(ctypes.Structure):  # Py_buffer
    _fields_ = [('buf', _ptr), ('obj', ctypes.py_object), ('len', ctypes.c_ssize_t), ('itemsize', ctypes.c_ssize_t), ('readonly', _int),
                ('ndim', _int), ('format', ctypes.c_char_p), ('shape', _ptr), ('strides', _ptr), ('suboffsets', _ptr), ('internal', _ptr)]


def _span(buffer):
    """(address, bytes) of a buffer's memory."""
    if isinstance(buffer, tuple):
        address, size = buffer
        return int(address), int(size)
    if not memoryview(buffer).contiguous:
        raise ValueError('the buffer is not contiguous')
    view = _Buffer()
    # PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT; a read-only buffer will do, its bytes are not changed
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(buffer), ctypes.byref(view), 0x98 | 0x4)
    try:
        return view.buf or 0, view.len
    finally:
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))


def version():
    """The version of the library: 'major.minor.patch'."""
    return _lib.gm_version().decode()


# ---- questions --------------------------------------------------------------------------------------------------------

def query(buffer):
    """A list of Page, one for each page that the buffer touches. Moves nothing."""
    address, size = _span(buffer)
    start = address // PAGE * PAGE
    n = -(-(address + size) // PAGE) - start // PAGE
    info = (_page_info * n)()
    _check(_lib.gm_query(start, n * PAGE, info), 'gm_query')
    return [Page(_WHERE[p.where], p.hnid, _RIGHTS[p.cpu], _RIGHTS[p.device], bool(p.pinned)) for p in info]


def where(buffer):
    """How many of the buffer's pages are where: {'host': 12, 'device 1024': 500}."""
    return dict(collections.Counter(p.where if p.node == HOST else f'{p.where} {p.node}' for p in query(buffer)))


def hints(buffer):
    """The Hints of the buffer's first page."""
    info = _hints_info()
    _check(_lib.gm_query_hints(_span(buffer)[0], ctypes.byref(info)), 'gm_query_hints')
    return Hints(bool(info.read_mostly), info.preferred if info.has_preferred else None, list(info.accessed_hnid[:info.accessed_by]),
                 (None, 'device', 'global', 'cpu')[info.atomic])


def nodes():
    """The nodes of the devices that have memory. A device of run-with-gmem comes into being with its first kernel."""
    return [n for n in range(1024, 1024 + 4096) if _lib.gm_is_hnode(n)]


def node(number):
    """The numbers of one device's memory, a Node."""
    info = _hnode_info()
    _check(_lib.gm_query_hnode(number, ctypes.byref(info)), f'node {number}')
    return Node(*(getattr(info, f) for f in Node._fields))


def counters():
    """What this process has moved since its start, a Counters."""
    info = _counters()
    _check(_lib.gm_query_counters(ctypes.byref(info), ctypes.sizeof(info)), 'gm_query_counters')
    return Counters(*(getattr(info, f) for f in Counters._fields))


def report(path):
    """The report of a run (run-with-gmem --report FILE.json) as a dict; docs/report.md explains its fields."""
    with open(path, encoding='utf-8') as file:
        data = json.load(file)
    if not isinstance(data, dict) or 'migrated' not in data or 'devices' not in data:
        raise ValueError(f'{path} is not a report of gmem')
    return data


# ---- hints ------------------------------------------------------------------------------------------------------------

def advise(buffer, behavior, node=HOST):
    """hmadvise() with a number of gmem.h; the functions below have names."""
    address, size = _span(buffer)
    _check(_lib.hmadvise(node, address, size, behavior), f'hmadvise({node}, {address:#x}, {size}, {behavior:#x})')


def prefetch(buffer, node):
    """Brings the buffer's pages to a node now."""
    advise(buffer, _PREFETCH, node)


def pinned(buffer, on=True):
    """Its pages come to the host and stay; devices work on them over the bus."""
    advise(buffer, _PINNED + (not on))


def read_mostly(buffer, on=True):
    """Readers get copies; a write makes the writer the only holder."""
    advise(buffer, _READ_MOSTLY + (not on))


def prefer(buffer, node, system=False):
    """Where its pages are best kept: a node, HOST, or None: nothing is preferred any more. system: only pages of the host go there."""
    behavior = _PREFERRED_SYSTEM if system and node is not None else _PREFERRED + (node is None)
    advise(buffer, behavior, HOST if node is None else node)


def accessed_by(buffer, node, on=True):
    """The device of this node has entries onto its pages before it asks."""
    advise(buffer, _ACCESSED_BY + (not on), node)


def atomic(buffer, whose):
    """Whose atomic operations on its pages are to hold: 'device', 'global' (the CPU's too), 'cpu', or None."""
    advise(buffer, _ATOMIC[whose])


def discard(buffer):
    """The contents of its whole pages are dropped; later reads see zeros."""
    advise(buffer, _DISCARD)


def copy(dest, src, node=HOST):
    """Copies bytes of src to dest, whose pages are on the node afterwards; both of one size."""
    to, size = _span(dest)
    source, source_size = _span(src)
    if size != source_size:
        raise ValueError(f'sizes differ: {size} and {source_size} bytes')
    _check(_lib.hmemcpy(node, to, source, size), 'hmemcpy')


# ---- devices ----------------------------------------------------------------------------------------------------------

class Device:
    """A simulated device beside those of run-with-gmem: Device('pcie4-gpu,mem=64M'). gmem-report --profiles lists the profiles."""

    def __init__(self, spec):
        self._sim = _ptr()
        _check(_lib.gm_sim_open(spec.encode(), ctypes.byref(self._sim)), spec)
        try:
            _check(_lib.gm_sim_attach(self._sim, _lib.gm_as_default()), f'{spec}: attach')
        except OSError:
            self.close()
            raise
        self.node = _lib.gm_dev_hnid(_lib.gm_sim_dev(self._sim))

    def close(self):
        """Brings its pages home and ends it."""
        if self._sim:
            _check(_lib.gm_sim_close(self._sim), 'gm_sim_close')
            self._sim = _ptr()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.close()
