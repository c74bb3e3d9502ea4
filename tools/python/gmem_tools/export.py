"""gmem-report export: a trace for other tools: Perfetto, SQLite, CSV."""
import argparse
import csv
import json
import os
import sqlite3
import sys
from . import report, show, trace

FLAGS = ((trace.WRITE, 'write'), (trace.MERGED, 'merged'), (trace.SPURIOUS, 'spurious'), (trace.FAILED, 'failed'))
COLUMNS = ('time_ns', 'duration_ns', 'kind', 'device', 'address', 'pages', 'cause', 'kernel', 'site', 'thread', 'pc') + tuple(f for _, f in FLAGS)


def _row(t, e):
    """Times from the start of the program on."""
    return ((e.time_ns - t.start_ns, e.duration_ns, e.kind, e.device, e.addr, e.pages, e.cause, e.kernel, e.site, e.tid, e.pc)
            + tuple(int(bool(e.flags & bit)) for bit, _ in FLAGS))


def to_csv(t, path):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for e in t:
            row = list(_row(t, e))
            row[4], row[10] = hex(e.addr), hex(e.pc)
            out.writerow(row)


def to_sqlite(t, path):
    """A table of events, and one of what the report counted, by the names of docs/report.md."""
    if os.path.exists(path):
        os.remove(path)
    with sqlite3.connect(path) as db:
        db.execute(f'CREATE TABLE event ({", ".join(COLUMNS)})')
        db.executemany(f'INSERT INTO event VALUES ({", ".join("?" * len(COLUMNS))})', (_row(t, e) for e in t))
        db.execute('CREATE INDEX event_time ON event (time_ns)')
        db.execute('CREATE TABLE counter (name, value)')
        db.executemany('INSERT INTO counter VALUES (?, ?)', [(f.name, f.get(t.report)) for f in report.fields()])
        fields = report.item_fields('devices')
        names = ', '.join(f'"{f.name}"' for f in fields)
        db.execute(f'CREATE TABLE device ("index", name, {names})')
        db.executemany(f'INSERT INTO device VALUES (?, ?, {", ".join("?" * len(fields))})',
                       [(i, d['name'], *(f.get(d) for f in fields)) for i, d in enumerate(t.report['devices'])])
    db.close()


# ---- Perfetto: the JSON that it reads, with a process for each device and one for the program's threads --------------------------

LANES = {'launch': (1, 'kernels'), 'device_fault': (2, 'faults'), 'to_device': (3, 'link, to the device'),
         'to_host': (4, 'link, home'), 'evict': (5, 'evictions'), 'revoke': (6, 'revocations'), 'peer_copy': (7, 'links from other devices')}
HOST = 1


def _perfetto_names(t, tids):
    def name(kind, pid, tid, text):
        return {'ph': 'M', 'name': kind, 'pid': pid, 'tid': tid, 'args': {'name': text}}
    yield name('process_name', HOST, 0, f'CPU: {report.label(t.report)}')
    for tid in sorted(tids):
        yield name('thread_name', HOST, tid, f'thread {tid}')
    for i, d in enumerate(t.report['devices']):
        yield name('process_name', HOST + 1 + i, 0, f'device {t.device_name(i)}, {show.size(d["mem_bytes"])}')
        for lane, text in LANES.values():
            yield name('thread_name', HOST + 1 + i, lane, text)


def _perfetto_event(t, e):
    us = (e.time_ns - t.start_ns) / 1000
    if e.kind == 'resident':
        return {'ph': 'C', 'name': 'resident', 'pid': HOST + 1 + e.device, 'ts': us, 'args': {'MiB': e.pages / 256}}
    args = {'address': hex(e.addr), 'pages': e.pages, 'cause': e.cause, 'asked for by': e.site, 'kernel': e.kernel, 'thread': e.tid,
            'pc': hex(e.pc) if e.pc else ''}
    args.update((name, True) for bit, name in FLAGS if e.flags & bit)
    on_device = e.device is not None and e.kind in LANES
    name = e.kernel if e.kind == 'launch' else e.kind
    event = {'ph': 'X' if e.duration_ns else 'i', 'name': name or e.kind, 'pid': HOST + 1 + e.device if on_device else HOST,
             'tid': LANES[e.kind][0] if on_device else e.tid, 'ts': us, 'args': {k: v for k, v in args.items() if v not in ('', '0x0')}}
    event.update({'dur': e.duration_ns / 1000} if e.duration_ns else {'s': 't'})
    return event


def to_perfetto(t, path):
    tids = {e.tid for e in t}
    with open(path, 'w', encoding='utf-8') as file:
        file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
        file.write(',\n'.join(map(json.dumps, _perfetto_names(t, tids))))
        for e in sorted(t, key=lambda e: e.time_ns):
            file.write(',\n' + json.dumps(_perfetto_event(t, e)))
        file.write('\n]}\n')


def main(args):
    parser = argparse.ArgumentParser(prog='gmem-report export', description='Writes a trace (run-with-gmem --trace FILE) for other tools.')
    parser.add_argument('trace')
    parser.add_argument('--perfetto', metavar='FILE.json', help='for ui.perfetto.dev: tracks for each device and each thread')
    parser.add_argument('--sqlite', metavar='FILE.db', help='tables event, counter and device')
    parser.add_argument('--csv', metavar='FILE.csv', help='one line an event')
    options = parser.parse_args(args)
    chosen = [(to, path) for to, path in ((to_perfetto, options.perfetto), (to_sqlite, options.sqlite), (to_csv, options.csv)) if path]
    if not chosen:
        parser.error('nothing to write: --perfetto, --sqlite or --csv')
    try:
        t = trace.Trace(options.trace)
        for to, path in chosen:
            to(t, path)
    except (report.BadReport, OSError, sqlite3.Error) as error:
        sys.exit(f'gmem-report: {error}')
    if t.lost:
        print(f'gmem-report: {show.count(t.lost)} events were lost while the program ran', file=sys.stderr)
    return 0
