"""Reads traces (docs/trace.md), which the reporter has written."""
import collections
import json
import struct
from . import report

MAGIC, VERSION = b'GMTRACE\n', 1
_HEAD, _CHUNK = struct.Struct('<8sII'), struct.Struct('<II')
_EVENT = struct.Struct('<QQQIIiHHBBBB4x')
EVENTS, META = 1, 2
WRITE, MERGED, SPURIOUS, FAILED, LONG = 1, 2, 4, 8, 16
NO_DEVICE = 255

Event = collections.namedtuple('Event', 'time_ns addr pc duration_ns pages tid site kernel kind device cause flags')
Event.__doc__ = 'As in the file, with names: kind and cause are words, site and kernel names or "", device None for none'


def _words(words):
    """By their numbers, of which a byte has so many; what the file does not name is named by its number."""
    return [word or f'number {n}' for n, word in enumerate(words + [None] * (256 - len(words)))]


class Trace:
    """A trace; iterating gives its events, in the order of the file: of each thread as they ended, between threads hardly."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path, 'rb') as file:
                self._data = file.read()
        except OSError as error:
            raise report.BadReport(f'{path}: {error.strerror}') from error
        if len(self._data) < _HEAD.size or self._data[:8] != MAGIC:
            raise report.BadReport(f'{path} is not a trace of gmem')
        _, version, self._bytes = _HEAD.unpack_from(self._data)
        if version > VERSION:
            raise report.BadReport(f'{path} has version {version}; this gmem-report reads up to {VERSION}')
        if not version or self._bytes < _EVENT.size:
            raise report.BadReport(f'{path} is damaged')
        self._chunks, meta = [], None
        for kind, start, end in self._walk():
            if kind == EVENTS:
                self._chunks.append((start, end))
            elif kind == META:
                meta = self._data[start:end]
        if meta is None:
            raise report.BadReport(f'{path} has no end: the reporter was killed, or still writes')
        try:
            self._read_meta(json.loads(meta))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise report.BadReport(f'{path} is damaged: {error}') from error

    def _read_meta(self, meta):
        self.kinds, self.causes = _words(meta['kinds']), _words(meta['causes'])
        self.sites = {int(k): v for k, v in meta['sites'].items()}
        self.kernels = {int(k): v for k, v in meta['kernels'].items()}
        self.start_ns, self.end_ns, self.lost = (int(meta[k]) for k in ('start_ns', 'end_ns', 'lost'))
        self.report = report.check(meta['report'], self.path)

    def _walk(self):
        at = _HEAD.size
        while at + _CHUNK.size <= len(self._data):
            kind, size = _CHUNK.unpack_from(self._data, at)
            at += _CHUNK.size
            if at + size > len(self._data):
                return
            yield kind, at, at + size
            at += size

    def __len__(self):
        return sum((end - start) // self._bytes for start, end in self._chunks)

    def raw(self):
        """As iterating, but tuples of numbers as they stand in the file, many times faster."""
        for start, end in self._chunks:
            chunk = memoryview(self._data)[start:end - (end - start) % self._bytes]
            if self._bytes == _EVENT.size:
                yield from _EVENT.iter_unpack(chunk)
            else:
                yield from (_EVENT.unpack_from(chunk, at) for at in range(0, len(chunk), self._bytes))

    def __iter__(self):
        for time, addr, pc, duration, pages, tid, site, kernel, kind, device, cause, flags in self.raw():
            yield Event(time, addr, pc, duration * 1000 if flags & LONG else duration, pages, tid, self.sites.get(site, ''),
                        self.kernels.get(kernel, ''), self.kinds[kind], None if device == NO_DEVICE else device, self.causes[cause], flags)

    def device_name(self, index):
        devices = self.report['devices']
        name = devices[index]['name'] if index is not None and index < len(devices) else '?'
        return f'{name} ({index})' if len(devices) > 1 else name
