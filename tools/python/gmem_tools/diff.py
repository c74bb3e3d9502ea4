"""gmem-report diff: two reports beside each other, number by number."""
import argparse
import os
from . import report, show


def _rows(fields, a, b, everything):
    for f in fields:
        x, y = f.get(a), f.get(b)
        if x != y or (everything and x != 0):
            yield f.name, show.quantity(x, f.unit), show.quantity(y, f.unit), show.change(x, y)


def _table(title, rows):
    rows = list(rows)
    if not rows:
        return
    print(title)
    for row in rows:
        print('  {:<26} {:>12} {:>12}  {}'.format(*row).rstrip())


def _list(name, a, b, everything):
    """Items that are in both, or in one."""
    fields = report.item_fields(name)
    fields = [f for f in fields if f.name != 'device']
    items_a, items_b = report.keyed(a, name), report.keyed(b, name)
    for called in list(items_a) + [k for k in items_b if k not in items_a]:
        x, y = items_a.get(called), items_b.get(called)
        where = ' (only in the first)' if y is None else ' (only in the second)' if x is None else ''
        _table(f'{name[:-1]} {called}{where}', _rows(fields, x, y, everything))


def main(args):
    parser = argparse.ArgumentParser(prog='gmem-report diff', description='Shows in what two reports differ.')
    parser.add_argument('first', metavar='a.json')
    parser.add_argument('second', metavar='b.json')
    parser.add_argument('--all', action='store_true', help='also what is the same in both')
    options = parser.parse_args(args)
    a, b = report.load_all([options.first, options.second])

    print(f'{"":<28} {os.path.basename(options.first):>12} {os.path.basename(options.second):>12}')
    for r, file in ((a, options.first), (b, options.second)):
        print(f'{os.path.basename(file)}: {report.label(r)}')
    _table('all devices and the CPU', _rows(report.fields(), a, b, options.all))
    for name in ('devices', 'kernels', 'sites'):
        _list(name, a, b, options.all)
    return 0
