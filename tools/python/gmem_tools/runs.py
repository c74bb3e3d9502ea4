"""Running a program under one configuration, and what is left of it: a report for each process, made into one."""
import collections
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from . import merge, plan, report

LIBRARY = 'libgmem_preload.so'
LIMIT = 600  # seconds


def beside(name):
    """What lies beside the folder of these tools: in the build, or installed."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), name)


def under_gmem(program):
    return [beside('gmem-report'), '--run', beside('gmem-report'), beside(LIBRARY), '--'] + program


def environment(variables):
    return {**{k: v for k, v in os.environ.items() if not k.startswith('GMEM_')}, **variables}


class Sweep:
    """The configurations, the program, and the folder in which the runs leave what they leave."""

    def __init__(self, folder, program, limit, env, launcher, configs):
        self.folder, self.program, self.limit, self.env, self.launcher, self.configs = folder, program, limit, env, launcher, configs
        self.run_limit = None  # of runs that are no recordings, if it is another one
        self.turns = False     # threads of the device touch pages side by side: replays let them take turns

    @classmethod
    def new(cls, folder, options):
        os.makedirs(folder, exist_ok=True)
        if os.listdir(folder):
            raise plan.Mistake(f'--keep {folder}: the folder is not empty')
        for variable in options.set:
            if '=' not in variable:
                raise plan.Mistake(f'--set {variable}: not NAME=VALUE')
        return cls(folder, options.program, options.limit or LIMIT, dict(v.split('=', 1) for v in options.set), shlex.split(options.launcher), [])

    @classmethod
    def load(cls, folder):
        with open(os.path.join(folder, 'plan.json'), encoding='utf-8') as file:
            j = json.load(file)
        return cls(folder, j['program'], j['limit'], j['env'], j.get('launcher', []), [plan.Config.of_json(c) for c in j['configs']])

    def add(self, config):
        self.configs.append(config)
        with open(self.path('plan.json'), 'w', encoding='utf-8') as file:
            json.dump({'program': self.program, 'limit': self.limit, 'env': self.env, 'launcher': self.launcher,
                       'configs': [dict(c.as_json(), mem=c.mem) for c in self.configs]}, file, indent=1)
        return len(self.configs) - 1

    def path(self, name):
        return os.path.join(self.folder, name)

    def variables(self, config):
        return {**self.env, **config.environment()}

    def launched(self, variables):
        """The program under GMEM, in each process that the launcher starts; that need not hand its environment on."""
        front = self.launcher + ['env'] + [f'{k}={v}' for k, v in variables.items()] if self.launcher else []
        return front + under_gmem(self.program)

    def of_each(self, name):
        """A file's name for every process of the launcher."""
        return name + '.%r' if self.launcher else name


def check(sweep, configs):
    """Every configuration is one that run-with-gmem takes; else its own words."""
    for config in configs:
        tried = subprocess.run(under_gmem(['/bin/true']), env=environment({**sweep.variables(config), 'GMEM_REPORT': 'none'}), check=False,
                               capture_output=True, text=True)
        if tried.returncode:
            raise plan.Mistake(tried.stderr.strip().removeprefix('run-with-gmem.sh: ') or f'{config.text()}: cannot be run')


_running = set()
_stopping = threading.Event()


def _end(process):
    """All that the run has started and that stayed in its session."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        return


def stop():
    """Ends all runs, and none begins any more."""
    _stopping.set()
    for process in list(_running):
        _end(process)


def _wait(process, limit):
    """How it ended; empty: well."""
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        return f'over the limit of {limit:.3g} s'
    if not status:
        return ''
    return f'exit status {status}' if status > 0 else f'killed by {signal.Signals(-status).name}'


def run(sweep, number):
    """Runs one configuration; its result."""
    run_as(sweep, str(number), sweep.variables(sweep.configs[number]), sweep.run_limit)
    return result(sweep, number)


def _await_reports(sweep, name):
    """A process that was ended leaves its report to the reporter, which holds the lock beside it until it is written."""
    for lock in [f for f in os.listdir(sweep.folder) if f.startswith(name + '.') and f.endswith('.json.lock')]:
        try:
            with open(sweep.path(lock), 'rb') as file:
                fcntl.flock(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            pass  # done, and removed


def run_as(sweep, name, variables, limit=None):
    """Runs the program; what it leaves is called so."""
    if _stopping.is_set():
        return
    variables = {**variables, 'GMEM_REPORT': sweep.path(sweep.of_each(name) + '.json')}
    start = time.monotonic()
    with open(sweep.path(f'{name}.out'), 'wb') as out, \
         subprocess.Popen(sweep.launched(variables), env=environment(variables), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                          start_new_session=True) as process:
        _running.add(process)
        try:
            note = _wait(process, limit or sweep.limit)
        finally:
            _end(process)
            _running.discard(process)
    _await_reports(sweep, name)
    write_end(sweep, name, {'note': note, 'wall_s': time.monotonic() - start})


def write_end(sweep, name, how):
    with open(sweep.path(f'{name}.run.json'), 'w', encoding='utf-8') as file:
        json.dump(how, file)


def how_it_ended(sweep, name):
    try:
        with open(sweep.path(f'{name}.run.json'), encoding='utf-8') as file:
            return json.load(file)
    except FileNotFoundError:
        return {'note': 'not run: more memory took too long', 'wall_s': 0}


def copy_report(sweep, name, number):
    """The report of one is that of the other."""
    for end, path in _report_files(sweep, name):
        shutil.copyfile(path, sweep.path(f'{number}{end}.json'))
    if os.path.exists(sweep.path(f'{name}.out')):
        shutil.copyfile(sweep.path(f'{name}.out'), sweep.path(f'{number}.out'))


# ---- what is left -------------------------------------------------------------------------------------------------------

def _report_files(sweep, name):
    """Of the main process or of each rank, and of those beside it that used a device: what the name ends with, and the file."""
    return [(match[1], sweep.path(f)) for f in sorted(os.listdir(sweep.folder)) if (match := re.fullmatch(rf'{name}((?:\.\d+)*)\.json', f))]


def _reports(sweep, number):
    return [report.load(path) for _, path in _report_files(sweep, number)]


class Result:
    """A run as numbers: of all its processes and devices."""

    def __init__(self, sweep, number, how, reports):
        self.number, self.config, self.note, self.wall = number, sweep.configs[number], how['note'], how['wall_s']
        self.least = how.get('least', False)  # a replay of which not all is known: bytes, faults and times are at least so much
        self._output = sweep.path(f'{number}.out')
        using = [r for r in reports if r['devices']]
        self.report = merge.merge(using or reports[:1]) if reports else None
        self.processes = (self.report or {}).get('processes')
        devices = self.report['devices'] if self.report else []
        moved = (self.report or {}).get('migrated', {})
        self.h2d, self.d2h = moved.get('h2d_bytes', 0), moved.get('d2h_bytes', 0)
        self.faults, self.evicted = (sum(d.get(k, 0) for d in devices) for k in ('faults', 'evicted_bytes'))
        self.modelled = sum(map(report.modelled, devices))  # as far as it is known
        self.whole = all(d.get('modelled_s', 0) is not None for d in devices) and not self.least
        self.peak = max((d.get('resident_peak_bytes', 0) for d in devices), default=0)
        self.mem = self.config.mem or max((d.get('mem_bytes', 0) for d in devices), default=0)
        self.ok = self.report is not None and not self.note
        self.cut = self.report is not None and self.note.startswith('over')  # its numbers are those of a part

    def output_tail(self):
        try:
            with open(self._output, encoding='utf-8', errors='replace') as file:
                return ''.join(collections.deque(file, 10))
        except FileNotFoundError:
            return ''


def result(sweep, number):
    how = how_it_ended(sweep, number)
    try:
        return Result(sweep, number, how, _reports(sweep, number))
    except report.BadReport as error:
        print(f'gmem-sweep: {error}', file=sys.stderr)
        return Result(sweep, number, {**how, 'note': how['note'] or 'report damaged'}, [])


def results(sweep):
    return [result(sweep, n) for n in range(len(sweep.configs))]
