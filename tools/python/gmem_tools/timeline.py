"""A trace made small enough to be drawn: by time, and by address and time. A million events or ten become as many numbers."""
import collections
from . import trace

BINS = 300   # of time
ROWS = 72    # of addresses
PAGE = 4096
GRAIN = 64 << 10  # addresses are told apart so finely, and more coarsely if that makes too many rows


def _series(bins):
    return [0] * bins


class Timeline:
    def __init__(self, t):
        self._t, self._start = t, t.start_ns
        self._width = max(1, -(-(t.end_ns - t.start_ns) // BINS))
        self._devices = [{'resident': [None] * BINS, 'faults': _series(BINS), 'in': _series(BINS), 'out': _series(BINS)}
                         for _ in t.report['devices']]
        self._cpu = _series(BINS)
        self._heat = collections.Counter()  # (grain, bin) -> pages
        self._who = {}  # grain -> number of its call site
        adders = {'cpu_fault': self._cpu_fault, 'device_fault': self._device_fault, 'resident': self._resident, 'to_device': self._moved('in'),
                  'to_host': self._moved('out'), 'peer_copy': self._moved('in')}
        of_kind = [adders.get(k) for k in t.kinds]
        for time, addr, _, _, pages, _, site, _, kind, device, _, flags in t.raw():
            if (add := of_kind[kind]) and (device < len(self._devices) or device == trace.NO_DEVICE):
                add(min(BINS - 1, max(0, (time - self._start) // self._width)), device, addr, pages, site, flags)

    def _cpu_fault(self, b, _device, _addr, _pages, _site, flags):
        self._cpu[b] += not flags & trace.SPURIOUS

    def _device_fault(self, b, device, _addr, _pages, _site, flags):
        self._devices[device]['faults'][b] += not flags & trace.MERGED

    def _resident(self, b, device, _addr, pages, _site, _flags):
        series = self._devices[device]['resident']
        series[b] = max(series[b] or 0, pages * PAGE)

    def _moved(self, way):
        def add(b, device, addr, pages, site, _flags):
            self._devices[device][way][b] += pages * PAGE
            self._touch(b, addr, pages, site)
        return add

    def _touch(self, b, at, left, site):
        """The pages of the event lie together, or nearly: from its first one on, in one block."""
        while left > 0:
            here = min(left, (GRAIN - at % GRAIN) // PAGE)
            self._heat[at // GRAIN, b] += here
            self._who.setdefault(at // GRAIN, site)
            left -= here
            at += here * PAGE

    def _rows(self):
        """Neighbours side by side; what nobody moved has no row. Grain -> row, and what each row is."""
        grains = sorted(self._who)
        per_row = -(-len(grains) // ROWS) or 1
        row = {g: i // per_row for i, g in enumerate(grains)}
        labels = []
        for i in range(0, len(grains), per_row):
            part = grains[i:i + per_row]
            site = collections.Counter(self._who[g] for g in part).most_common(1)[0][0]
            labels.append({'from': hex(part[0] * GRAIN), 'to': hex((part[-1] + 1) * GRAIN), 'site': self._t.sites.get(site, '')})
        return row, labels

    def data(self):
        row, labels = self._rows()
        cells = collections.Counter()
        for (grain, b), pages in self._heat.items():
            cells[row[grain], b] += pages
        for d in self._devices:  # between two changes it stays what it was
            held = 0
            for b, value in enumerate(d['resident']):
                held = d['resident'][b] = held if value is None else value
        return {'bin_s': self._width / 1e9, 'bins': BINS, 'cpu_faults': self._cpu, 'devices': self._devices, 'rows': labels,
                'cells': [[r, b, pages] for (r, b), pages in sorted(cells.items())], 'events': len(self._t), 'lost': self._t.lost}
