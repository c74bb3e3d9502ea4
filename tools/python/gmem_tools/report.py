"""Reads saved reports. What their fields mean and in which units they are stands in the schema, which is made from tools/view_fields.c."""
import collections
import json
import os
import sys

SCHEMA = json.load(open(os.path.join(os.path.dirname(__file__), 'report.schema.json'), encoding='utf-8'))
NEWEST = SCHEMA['properties']['schema']['const']
SWEEP = 1  # of the JSON that gmem-sweep writes

Field = collections.namedtuple('Field', 'name unit meaning get')
Field.__doc__ = """One number: its name as in docs/report.md, the schema's unit, its meaning, and get(object): the number, None if it is not
known, 0 if the object has no such field (another build wrote it) or is None."""


class BadReport(Exception):
    pass


def _json(path):
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except OSError as error:
        raise BadReport(f'{path}: {error.strerror}') from error
    except ValueError as error:
        raise BadReport(f'{path}: {error}') from error


def check(report, path):
    """The report, if it is one that can be read. path: where it stood."""
    if not isinstance(report, dict) or not isinstance(report.get('program'), str) or not isinstance(report.get('devices'), list):
        raise BadReport(f'{path} is not a report of gmem')
    schema = report.get('schema', NEWEST)
    if not isinstance(schema, int) or schema > NEWEST:
        raise BadReport(f'{path} has schema {json.dumps(schema)}; this gmem-report reads up to {NEWEST}')
    return report


def load(path, sweeps=False):
    """A report as a dict, as it stands in the file; if sweeps may be given: or the JSON of one."""
    found = _json(path)
    if not sweeps or not isinstance(found, dict) or 'sweep' not in found:
        return check(found, path)
    if not isinstance(found['sweep'], int) or found['sweep'] > SWEEP:
        raise BadReport(f'{path} is a sweep of version {json.dumps(found["sweep"])}; this gmem-report reads up to {SWEEP}')
    for r in found['runs']:
        if r['report']:
            check(r['report'], path)
    return found


def load_all(paths, sweeps=False):
    """As load, for a tool: says what is wrong with the first bad one and ends."""
    try:
        return [load(path, sweeps) for path in paths]
    except BadReport as error:
        sys.exit(f'gmem-report: {error}')


def _at(*keys):
    def get(item):
        for key in keys:
            item = item.get(key, 0) if isinstance(item, dict) else 0
        return item
    return get


def fields(schema=None, keys=()):
    """The numbers of an object of the schema (default: the report itself), those of lists left out."""
    for key, sub in (schema or SCHEMA)['properties'].items():
        path = keys + (key,)
        if sub['type'] == 'object':
            yield from fields(sub, path)
        elif sub['type'] not in ('string', 'array') and path not in (('schema',), ('pid',), ('signal',), ('row',)):
            yield Field('.'.join(path), sub.get('x-unit', ''), sub.get('description', ''), _at(*path))


def item_fields(name):
    """The numbers of the items of a list: devices, kernels, sites."""
    return list(fields(SCHEMA['properties'][name]['items']))


def label(report):
    """What tells a run from another one: its command, for people."""
    return report.get('command') or report['program']


def moved(site):
    return site.get('h2d_bytes', 0) + site.get('d2h_bytes', 0)


def keyed(report, name):
    """The items of a list by what they are called. A kernel on two devices is told apart; call sites of the same line, reached by
    different ways, are one."""
    key = {'devices': 'name', 'kernels': 'name', 'sites': 'where'}[name]
    items = {}
    for index, item in enumerate(report.get(name, [])):
        called = str(item.get(key, '?'))
        if name == 'devices' and len(report['devices']) > 1:
            called = f'{index}: {called}'
        elif name == 'kernels' and len(report['devices']) > 1:
            called = f'{called} (device {item.get("device", 0)})'
        if name == 'sites' and called in items:
            item = {k: items[called].get(k, 0) + v if isinstance(v, int) and k != 'row' else items[called].get(k, v) for k, v in item.items()}
        items[called] = item
    return items


def modelled(device):
    """Its modelled time in s, or those parts of it that are known."""
    whole = device.get('modelled_s', 0)
    return device.get('modelled_parts', {}).get('known_s', 0) if whole is None else whole
