"""gmem-report html: one or several reports as a page for the browser. One file: the styles, the scripts (d3) and the data are in it."""
import argparse
import json
import os
import sys
import jinja2
from . import merge, report, show, timeline, trace

HERE = os.path.dirname(__file__)
D3 = ('d3.min.js', '/usr/share/nodejs/d3/dist/d3.min.js')  # as the build has put it beside this file, or Debian's


def _d3():
    for place in D3:
        path = os.path.join(HERE, place)
        if os.path.exists(path):
            return _file(path)
    sys.exit('gmem-report html: d3.min.js is missing (Debian: node-d3; `make deps`)')


def _file(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as file:
        return file.read()


def names(paths):
    """Short names of the runs: what of the files' names tells them apart."""
    stems = [os.path.splitext(os.path.basename(p))[0] for p in paths]
    return stems if len(set(stems)) == len(stems) else [os.path.splitext(p)[0] for p in paths]


def _load(path):
    """A report, a sweep, or a trace: by what stands at the beginning."""
    try:
        with open(path, 'rb') as file:
            is_trace = file.read(len(trace.MAGIC)) == trace.MAGIC
        return trace.Trace(path) if is_trace else report.load(path, sweeps=True)
    except OSError as error:
        sys.exit(f'gmem-report: {path}: {error.strerror}')
    except report.BadReport as error:
        sys.exit(f'gmem-report: {error}')


def sentences(r):
    """What a run's counters say, in words. Only what was counted."""
    devices = [d for d in r['devices'] if d.get('kernels') or d.get('faults') or d.get('resident_peak_bytes')]
    if not devices:
        yield 'No device was used.'
    for d in devices:
        evicted, mem = d.get('evicted_bytes', 0), d.get('mem_bytes', 0)
        if not evicted:
            yield f'{d["name"]}: all that it needed fitted; {show.size(d.get("resident_peak_bytes", 0))} at the peak.'
        else:
            yield (f'{d["name"]}: too small: {show.size(evicted)} were sent home to make room'
                   + (f', {evicted / mem:.3g} times its memory of {show.size(mem)}.' if mem else '.'))
    sites = report.keyed(r, 'sites').values()
    site = max(sites, key=report.moved, default=None)
    everything = sum(map(report.moved, sites))
    if site and everything:
        yield (f'{100 * report.moved(site) / everything:.0f} % of all bytes moved were of '
               + ('small blocks.' if site['where'] == 'other' else f'memory asked for by {site["where"]}.'))


def _cells(fields, items):
    """For each field that some run has: its name, meaning, unit, and its value in each run."""
    for f in fields:
        values = [f.get(item) for item in items]
        if any(v != 0 for v in values):
            yield {'name': f.name, 'meaning': f.meaning, 'unit': f.unit, 'values': values}


def compare(reports):
    """Number by number, all runs: the report itself, then each device, kernel and site by name."""
    yield {'title': 'All devices and the CPU', 'rows': list(_cells(report.fields(), reports))}
    for name in ('devices', 'kernels', 'sites'):
        fields = [f for f in report.item_fields(name) if f.name != 'device']
        runs = [report.keyed(r, name) for r in reports]
        for called in dict.fromkeys(k for run in runs for k in run):
            rows = list(_cells(fields, [run.get(called) for run in runs]))
            if rows:
                yield {'title': f'{name[:-1].capitalize()} {called}', 'rows': rows}


def _runs(documents, titles):
    """What is to be shown one by one: reports, those of traces, and of a sweep the runs that tell something."""
    for title, document in zip(titles, documents):
        if isinstance(document, trace.Trace):
            yield title, document.report, timeline.Timeline(document).data()
        elif 'sweep' not in document:
            yield title, document, None
        else:
            yield from ((show.size(r['mem_bytes']), r['report'], None) for r in document['runs'] if r['telling'])


def make(documents, titles):
    """The text of the page. documents: reports, traces, and sweeps (sweep.document)."""
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
                             undefined=jinja2.StrictUndefined)
    env.filters.update(quantity=show.quantity, size=show.size, seconds=show.seconds, count=show.count, change=show.change,
                       modelled=report.modelled, processes=lambda spread: list(merge.table(spread)))
    runs = [{'name': name, 'label': report.label(r), 'report': r, 'time': time, 'sentences': list(sentences(r))}
            for name, r, time in _runs(documents, titles)]
    sweeps = [d for d in documents if isinstance(d, dict) and 'sweep' in d]
    data = {'runs': [{'name': run['name'], 'report': run['report'], 'time': run['time']} for run in runs], 'sweeps': sweeps}
    # '<' only in strings: no end of a script can stand in the data
    return env.get_template('page.html').render(
        title=', '.join(dict.fromkeys(run['label'] for run in runs)), runs=runs, sweeps=sweeps,
        comparison=list(compare([run['report'] for run in runs])) if len(runs) > 1 else [],
        data=json.dumps(data).replace('<', '\\u003c'), d3=_d3(), script=_file('page.js'), style=_file('page.css'))


def main(args):
    parser = argparse.ArgumentParser(prog='gmem-report html', description='Makes a page for the browser of reports, traces (run-with-gmem '
                                     '--trace) and sweeps (gmem-sweep --json): one file, which needs no network.')
    parser.add_argument('reports', metavar='FILE', nargs='+')
    parser.add_argument('-o', '--output', metavar='FILE.html', help='default: the first file, with .html; "-": standard output')
    options = parser.parse_args(args)
    text = make([_load(path) for path in options.reports], names(options.reports))
    output = options.output or os.path.splitext(options.reports[0])[0] + '.html'
    if output == '-':
        sys.stdout.write(text)
        return 0
    try:
        with open(output, 'w', encoding='utf-8') as file:
            file.write(text)
    except OSError as error:
        sys.exit(f'gmem-report: {output}: {error.strerror}')
    print(output)
    return 0
