"""gmem-report merge: the reports of several processes, such as the ranks of an MPI program, as one."""
import argparse
import json
import statistics
import sys
from . import report, show

# What is shown of each process: key, title, form, get(report).
COLUMNS = (('faults', 'faults', show.count, lambda r: sum(d.get('faults', 0) for d in r['devices'])),
           ('h2d_bytes', 'to device', show.size_about, lambda r: r.get('migrated', {}).get('h2d_bytes', 0)),
           ('d2h_bytes', 'home', show.size_about, lambda r: r.get('migrated', {}).get('d2h_bytes', 0)),
           ('evicted_bytes', 'evicted', show.size_about, lambda r: sum(d.get('evicted_bytes', 0) for d in r['devices'])),
           ('modelled_s', 'modelled', show.seconds, lambda r: sum(map(report.modelled, r['devices']))),
           ('wall_s', 'measured', show.seconds, lambda r: r.get('wall_s', 0)))
MOST = ('schema', 'mem_bytes', 'page_bytes', 'resident_peak_bytes', 'needs_bytes', 'pid', 'signal', 'row')
MIDDLE = (('min', min), ('median', statistics.median), ('max', max))


def _add(to, item):
    """Numbers of the same name: counts are added up; of times, and of what each has for itself, the most. With one that is not known (None) none is."""
    for key, value in item.items():
        if isinstance(value, dict):
            _add(to.setdefault(key, {}), value)
        elif value is None or to.get(key, 0) is None:
            to[key] = None
        elif isinstance(value, (int, float)):
            most = key.endswith(('_s', '_ns')) or key in MOST
            to[key] = max(to.get(key, 0), value) if most else to.get(key, 0) + value
        elif not isinstance(value, list):
            to.setdefault(key, value)


def _rank(r):
    """Ranks by their numbers, then those that have none."""
    rank = r.get('rank', '')
    return (0, int(rank), r.get('pid', 0)) if rank.isdigit() else (1, 0, r.get('pid', 0))


def processes(reports):
    """A row for each, by rank; least, middle, most."""
    rows = [{'rank': r.get('rank', ''), 'pid': r.get('pid', 0), 'modelled_wholly': all(d.get('modelled_s', 0) is not None for d in r['devices']),
             **{key: get(r) for key, _, _, get in COLUMNS}} for r in sorted(reports, key=_rank)]
    return {'count': len(rows), 'rows': rows,
            **{key: {name: of([row[key] for row in rows]) for name, of in MIDDLE} for key, _, _, _ in COLUMNS}}


def merge(reports):
    """One report of several processes', with "processes" in it. Devices, kernels and sites of the same name are one."""
    merged = {}
    for r in reports:
        _add(merged, r)
    for name in ('devices', 'kernels', 'sites'):
        items = {}
        for r in reports:
            for called, item in report.keyed(r, name).items():
                _add(items.setdefault(called, {}), item)
        merged[name] = list(items.values())
    for name in ('objects', 'refused'):
        merged[name] = [item for r in reports for item in r.get(name, [])]
    merged['kernels'].sort(key=lambda k: -k.get('wall_s', 0))
    merged['sites'].sort(key=lambda s: -report.moved(s))
    if len(reports) > 1:
        merged.update(processes=processes(reports), rank='')
    return merged


def table(spread):
    """What processes() says, as rows of text, the head first. Replays have measured nothing."""
    columns = [c for c in COLUMNS if c[0] != 'wall_s' or spread['wall_s']['max']]
    ranks = any(row['rank'] for row in spread['rows'])
    yield (['rank'] if ranks else []) + ['pid'] + [title for _, title, _, _ in columns]
    for row in spread['rows']:
        yield ([row['rank'] or '-'] if ranks else []) + [str(row['pid'])] + [
            ('> ' if key == 'modelled_s' and not row['modelled_wholly'] else '') + form(row[key]) for key, _, form, _ in columns]
    for name, _ in MIDDLE:
        of = [(form, spread[key][name]) for key, _, form, _ in columns]
        yield ([''] if ranks else []) + [name] + [form(round(value) if form is show.count else value) for form, value in of]


def lines(spread, indent=''):
    rows = list(table(spread))
    width = [max(map(len, column)) for column in zip(*rows)]
    return [indent + '  '.join(cell.rjust(w) for cell, w in zip(row, width)) for row in rows]


def main(args):
    parser = argparse.ArgumentParser(prog='gmem-report merge', description='Makes one report of those of several processes, such as the ranks of '
                                     'an MPI program (mpirun -n 4 run-with-gmem --report run-%r.json -- program): counts are added up, of '
                                     'times the longest is taken. Shows each process, by rank, and the least, the middle and the most.')
    parser.add_argument('reports', metavar='FILE.json', nargs='+')
    parser.add_argument('-o', '--output', metavar='FILE.json', help='the report, with "processes" in it, for gmem-report and gmem-report html')
    options = parser.parse_args(args)
    merged = merge(report.load_all(options.reports))
    print(f'{report.label(merged)}: {show.count(len(options.reports))} processes')
    print('\n'.join(lines(merged.get('processes') or processes([merged]))))
    if options.output:
        try:
            with open(options.output, 'w', encoding='utf-8') as file:
                json.dump(merged, file, indent=1)
        except OSError as error:
            sys.exit(f'gmem-report: {options.output}: {error.strerror}')
    return 0
