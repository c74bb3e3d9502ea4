"""
gmem-sweep: runs a program under many configurations of device and policy, and says what came out of it.

    configurations (plan.py) -> one folder: plan.json, and for each run N.json (its report), N.out, N.run.json (how it ended)
    -> table, CSV, JSON, page, sentences (answer.py)

The folder is all that the steps share, so that the runs may as well be the tasks of a job array.
"""
import argparse
import concurrent.futures
import csv
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from . import answer, merge, plan, replay, report, runs, show

PROG = 'gmem-sweep'


def _parser():
    p = argparse.ArgumentParser(
        prog=PROG, usage='%(prog)s [options] -- program [arguments]\n       %(prog)s --collect FOLDER [options]',
        description='Runs a program under GMEM once for each combination of the values given, and says from which size on it thrashes, '
        'because of which allocation and kernel, and which policy is the cheapest at each size.')
    swept = p.add_argument_group('what is varied (values separated by commas; all combinations are run)')
    swept.add_argument('--mem', default='auto', metavar='SIZES',
                       help='memory of the device: 512M,1G,... or auto (default): one run finds what the program needs, then sizes from '
                       'there down to an eighth, and more of them around the knee')
    swept.add_argument('--device', action='append', metavar='SPEC', help='profile[,key=value]... (default pcie4-gpu); several times: each')
    for name, (flag, _) in plan.POLICIES.items():
        swept.add_argument(*([flag, '--policy'] if name == 'evict' else [flag]), dest=name, metavar='LIST',
                           help=f'as {flag} of run-with-gmem')
    p.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                   help='a variable of the environment for every run, e.g. GMEM_BLAS_MIN=100, OMP_NUM_THREADS=2')
    how = p.add_argument_group('how it is run')
    how.add_argument('--real', action='store_true',
                     help='every configuration is a run of the program; else it runs once for each device, recorded, and configurations are replayed')
    how.add_argument('--check', action='store_true', help='some of the configurations really as well: how far the replays are off')
    how.add_argument('--launcher', default='', metavar='COMMAND',
                     help='starts the processes of an MPI program, each under GMEM: "mpirun -n 4", "srun -n 16"')
    how.add_argument('--limit', type=float, metavar='SECONDS',
                     help='no run takes longer, and with less memory none is tried (default: 600, and 8 times what it takes where all fits)')
    how.add_argument('--jobs', type=int, metavar='N', help='so many runs side by side (default: a quarter of the processors)')
    how.add_argument('--keep', metavar='FOLDER', help='where reports and outputs of the runs stay (default: nowhere)')
    how.add_argument('--no-copies', action='store_true', help='without the run that counts what explicit copies would move')
    out = p.add_argument_group('what is written, beside the table and the sentences')
    out.add_argument('--csv', metavar='FILE')
    out.add_argument('--json', metavar='FILE')
    out.add_argument('--html', metavar='FILE', help='a page for the browser, with curves')
    batch = p.add_argument_group('on a cluster')
    batch.add_argument('--slurm', metavar='FILE', help='runs nothing: writes a job array for sbatch; needs --keep and sizes in --mem')
    batch.add_argument('--collect', metavar='FOLDER', help='reads what the tasks of a job array have left there')
    batch.add_argument('--task', nargs=2, metavar=('FOLDER', 'N'), help='runs one configuration of the folder (a job array does)')
    p.add_argument('program', nargs='*', metavar='-- program', help=argparse.SUPPRESS)
    return p


def _options(args):
    """The options, with .program: all behind '--'."""
    behind = args.index('--') if '--' in args else len(args)
    parser = _parser()
    options = parser.parse_args(args[:behind])
    if options.program:
        parser.error(f'the program and its arguments stand behind --: -- {shlex.join(options.program)}')
    options.program = args[behind + 1:]
    if not options.program and not options.collect and not options.task:
        parser.error('no program given')
    if options.jobs is not None and options.jobs < 1:
        parser.error('--jobs: at least 1')
    if options.check and (options.real or options.slurm):
        parser.error('--check is about replays: not with --real or --slurm')
    if options.slurm and not options.keep:
        parser.error('--slurm needs --keep FOLDER, where the tasks leave their reports')
    if options.slurm and options.mem == 'auto':
        parser.error('--slurm needs sizes in --mem: auto runs the program first')
    return options


# ---- running --------------------------------------------------------------------------------------------------------------

def _say(text):
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        print('\r\033[K' + text, end='', file=sys.stderr, flush=True)


def _run_curve(sweep, numbers):
    """From the largest memory down. What took too long would take longer with less."""
    for n in numbers:
        _say(f'{PROG}: {n + 1} of {len(sweep.configs)}: {sweep.configs[n].text()}')
        if runs.run(sweep, n).cut:
            break


def _run_curves(sweep, curves, options):
    """Policies side by side, as runs of the program."""
    jobs = options.jobs or max(1, len(os.sched_getaffinity(0)) // 4)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            for future in [pool.submit(_run_curve, sweep, numbers) for numbers in curves]:
                future.result()
        except BaseException:
            runs.stop()
            raise


def _replay_curves(sweep, curves):
    numbers = [n for curve in curves for n in curve]
    _say(f'{PROG}: {len(numbers)} configurations')
    try:
        replay.run(sweep, numbers)
    except BaseException:
        runs.stop()
        raise


def _run_all(sweep, configs, options):
    """Adds the configurations to the sweep and replays them, or runs them; the results."""
    curves = {}
    for c in sorted(configs, key=lambda c: -(c.mem or 0)):
        curves.setdefault(c.policy(), []).append(sweep.add(c))
    really = [curve for curve in curves.values() if options.real or replay.why_not(sweep, sweep.configs[curve[0]])]
    replayed = [curve for curve in curves.values() if curve not in really]
    try:
        if replayed:
            _replay_curves(sweep, replayed)
        if really:
            _run_curves(sweep, really, options)
    finally:
        _say('')
    return [runs.result(sweep, n) for curve in curves.values() for n in curve]


def _limit(sweep, options, results):
    """What is many times slower than a run that went well need not end: that it thrashes is seen."""
    walls = [r.wall for r in results if r.ok and r.wall is not None]
    if options.limit is None and walls:
        sweep.run_limit = max(5, 8 * max(walls))


def _run_auto(sweep, options):
    """The sizes that matter: from what the program needs down, and the knee to a step of 2 MiB or a sixteenth."""
    bases = plan.combinations(options, [None])
    probe = _run_all(sweep, bases[:1], options)[0]
    if not probe.ok:
        return
    _limit(sweep, options, [probe])
    sizes = plan.ladder(probe.peak, probe.mem)
    if not sizes:
        return
    _run_all(sweep, plan.combinations(options, sizes) + [c.with_mem(probe.mem) for c in bases[1:]], options)
    for _ in range(5):
        between = answer.knee_step(answer.curves(runs.results(sweep))[bases[0].policy()])
        if not between:
            break
        _run_all(sweep, [bases[0].with_mem(between)], options)


def _run(sweep, options):
    if options.mem == 'auto':
        _run_auto(sweep, options)
    else:
        for size in (sizes := plan.sizes(options.mem))[:1], sizes[1:]:
            _limit(sweep, options, _run_all(sweep, plan.combinations(options, size), options))
    results = [r for r in runs.results(sweep) if r.ok]
    if results and not options.no_copies:
        largest = max(results, key=lambda r: r.mem)
        _run_all(sweep, [largest.config.as_copies()], options)


# ---- what comes out ---------------------------------------------------------------------------------------------------------

COLUMNS = (('faults', 'faults', show.count), ('to device', 'h2d', show.size), ('home', 'd2h', show.size),
           ('evicted', 'evicted', show.size), ('modelled', 'modelled', show.seconds), ('measured', 'wall', show.seconds))


def _cell(r, name, form):
    """Of a time of which a part is not known the rest is shown, as '> 3 ms'."""
    if not r.report:
        return '-'
    value = getattr(r, name)
    if value is None:
        return ''
    return ('> ' if r.least or (name == 'modelled' and not r.whole) else '') + form(value)


def _table(results):
    varied = plan.varied([r.config for r in results])
    columns = [c for c in COLUMNS if c[1] != 'wall' or any(r.wall is not None for r in results)]
    rows = [['memory'] + varied + [name for name, _, _ in columns] + ['']]
    for r in results:
        rows.append([show.size(r.mem) if r.mem else '?'] + [r.config.values.get(v, '') for v in varied]
                    + [_cell(r, name, form) for _, name, form in columns] + [r.note])
    width = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print('  '.join(cell.ljust(w) if 0 < i <= len(varied) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row[:-1], width)))
              + ('  ' + row[-1] if row[-1] else ''))


def _processes(results):
    """Of a program of several processes, such as an MPI program's ranks: each, by rank, where the runs tell something."""
    for r in answer.telling(results):
        if r.processes:
            print(f'\nWith {show.size(r.mem)}, {r.processes["count"]} processes, each with a device of its own:')
            print('\n'.join(merge.lines(r.processes, '  ')))


def _write_csv(path, results):
    varied = ['device'] + list(plan.POLICIES)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        out = csv.writer(file)
        out.writerow(['mem_bytes'] + varied + ['faults', 'h2d_bytes', 'd2h_bytes', 'evicted_bytes', 'modelled_s', 'wall_s', 'modelled_wholly', 'note'])
        for r in results:
            out.writerow([r.mem] + [r.config.values.get(v, '') for v in varied]
                         + ([getattr(r, name) for _, name, _ in COLUMNS] + [int(r.whole)] if r.report else [''] * (len(COLUMNS) + 1))
                         + [r.note])


def _range(values, form):
    return form(min(values)) if min(values) == max(values) else f'{form(min(values))} to {form(max(values))}'


def _run_really(real, config):
    """Twice, and if these differ once more. Stops at the first run that does not end well."""
    made = []
    while len(made) < 2 or (len(made) == 2 and len({(r.faults, answer.traffic(r), r.modelled) for r in made}) > 1):
        _say(f'{PROG}: really: {config.text()}')
        made.append(runs.run(real, real.add(config)))
        _say('')
        if not made[-1].ok:
            break
    return made


def _check(sweep, options, results):
    """Some of the replays as runs, and in sentences what came of that. Where runs differ among themselves, what is in their range is not off."""
    picked = replay.sample(results)
    if not picked:
        yield 'Nothing to check: no replay is whole.'
        return
    os.mkdir(sweep.path('check'))
    real = runs.Sweep(sweep.path('check'), sweep.program, options.limit or runs.LIMIT, sweep.env, sweep.launcher, [])
    worst, apart = {}, 0
    for r in picked:
        made = _run_really(real, r.config.with_mem(r.mem))
        if not made[-1].ok:
            yield f'Checked with {show.size(r.mem)}, {answer.flags(r.config)}: the run ended with: {made[-1].note}'
            continue
        parts = []
        for what, form, get in (('faults', show.count, lambda x: x.faults), ('bytes moved', show.size, answer.traffic),
                                ('modelled time', show.seconds, lambda x: x.modelled)):
            values = [get(run) for run in made]
            off = replay.off(get(r), min(max(get(r), min(values)), max(values)))
            apart = max(apart, replay.off(max(values), min(values)) or 0)
            parts.append(f'{what} {form(get(r))}, really {_range(values, form)}' + (f' ({off:+.1f} %)' if off is not None else ''))
            worst[what] = max(worst.get(what, 0), abs(off or 0))
        yield f'Checked with {show.size(r.mem)}, {answer.flags(r.config)}: ' + '; '.join(parts) + '.'
    if worst:
        yield 'The replays are off by at most ' + ', '.join(f'{off:.1f} % in {what}' for what, off in worst.items()) + '.'
    if apart:
        yield f'Runs of the same configuration differ among themselves by up to {apart:.1f} %; what lies between them is not off.'


def _about_replays(sweep, results):
    """What is no replay though replays were asked for, and what replays cannot know."""
    for why in dict.fromkeys(filter(None, (replay.why_not(sweep, r.config) for r in results))):
        yield f'Run, not replayed: {why}, which a recording does not tell.'
    replays = [r for r in results if r.wall is None and r.evicted]  # where all fits the order matters little
    small = [r.mem for r in replays if r.mem <= replay.SMALL]
    if small:
        yield (f'Replays with {show.size(max(small))} may be off by some percent: pages that are used within the same 2 MiB of touches are '
               'not recorded again, and here some of these are evicted.')
    if sweep.turns and replays:
        yield ('Several threads of the device touch pages side by side: in which order is up to the machine, and runs differ among '
               'themselves; replays let them take turns (--check says how far that is from runs).')


def document(sweep, results, sentences):
    """The sweep as JSON, as gmem-sweep(1) describes it."""
    shown = answer.telling(results)
    return {'sweep': report.SWEEP, 'command': sweep.program, 'sentences': sentences,
            'runs': [{'mem_bytes': r.mem, **r.config.as_json(), 'telling': r in shown, 'note': r.note, 'cut': r.cut, 'least': r.least, 'wall_s': r.wall,
                      'modelled_s': r.modelled, 'modelled_wholly': r.whole, 'processes': r.processes, 'report': r.report}
                     for r in results]}


def _save(options, text):
    """JSON and page."""
    if options.json:
        with open(options.json, 'w', encoding='utf-8') as file:
            json.dump(text, file, indent=1)
    if options.html:
        from . import page  # needs jinja2, which nothing else of a sweep does
        with open(options.html, 'w', encoding='utf-8') as file:
            file.write(page.make([text], ['sweep']))


def _finish(sweep, options):
    results = runs.results(sweep)
    first = {}
    for r in results:
        first.setdefault(r.config.policy(), r.number)
    results.sort(key=lambda r: (first[r.config.policy()], -r.mem))
    if not any(r.report for r in results):
        one = min(results, key=lambda r: r.number)
        print(f'{PROG}: no run left a report; the first ended with: {one.note}', file=sys.stderr)
        print(one.output_tail(), file=sys.stderr, end='')
        return 1
    shown = [r for r in results if not r.config.copies]
    _table(shown)
    _processes(shown)
    sentences = list(answer.sentences(results))
    if not options.real and not options.collect:
        sentences += _about_replays(sweep, results)
    if options.check:
        sentences += _check(sweep, options, results)
    print('', *sentences, sep='\n')
    if options.csv:
        _write_csv(options.csv, shown)
    _save(options, document(sweep, results, sentences))
    return 0 if all(r.ok or r.cut or r.report is None for r in results) else 1


SLURM = """#!/bin/sh
#SBATCH --job-name=gmem-sweep
#SBATCH --array=0-{last}
#SBATCH --time={minutes}
#SBATCH --output={folder}/slurm-%a.log
# {command}: {count} configurations. When all tasks are done: gmem-sweep --collect {folder}
exec {tool} --task {folder} "$SLURM_ARRAY_TASK_ID"
"""


def _write_slurm(sweep, options):
    configs = plan.combinations(options, plan.sizes(options.mem))
    if not options.no_copies:
        configs.append(max(configs, key=lambda c: c.mem).as_copies())
    for c in configs:
        sweep.add(c)
    with open(options.slurm, 'w', encoding='utf-8') as file:
        file.write(SLURM.format(last=len(configs) - 1, minutes=int(sweep.limit // 60) + 2, folder=shlex.quote(sweep.folder),
                                command=shlex.join(sweep.program), count=len(configs), tool=shlex.quote(runs.beside('gmem-sweep'))))
    print(f'{options.slurm}: {len(configs)} runs. sbatch {options.slurm}, then {PROG} --collect {sweep.folder}')
    return 0


def _main(options):
    options.real |= bool(options.slurm or options.task)
    if options.task:
        sweep = runs.Sweep.load(options.task[0])
        return 0 if runs.run(sweep, int(options.task[1])).ok else 1
    if options.collect:
        return _finish(runs.Sweep.load(options.collect), options)
    folder = os.path.abspath(options.keep) if options.keep else tempfile.mkdtemp(prefix='gmem-sweep-')
    try:
        sweep = runs.Sweep.new(folder, options)
        runs.check(sweep, plan.combinations(options, [None]))
        if options.slurm:
            return _write_slurm(sweep, options)
        _run(sweep, options)
        return _finish(sweep, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def _interrupt(*_):
    raise KeyboardInterrupt


def main(args):
    signal.signal(signal.SIGTERM, _interrupt)  # the runs have to be ended
    try:
        return _main(_options(args))
    except (plan.Mistake, OSError) as error:
        print(f'{PROG}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
