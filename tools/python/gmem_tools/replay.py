"""Replays instead of runs: the program runs once for each device, recorded (docs/replay.md); gmem-replay does the rest."""
import json
import os
import re
import subprocess
from . import plan, report, runs

RECORDING = {'GMEM_PREFETCH': 'tree:1', 'GMEM_EVICT': 'lru2m', 'GMEM_PLACEMENT': 'migrate', 'GMEM_THRASH': 'none'}


SMALL = 4 << 20  # of memory: two blocks, and twice what is let in before a touch is recorded again (docs/replay.md)


def why_not(sweep, config):
    """Why a replay of this configuration would be wrong; empty: it is not."""
    env = {**sweep.env, **config.environment()}
    if env.get('GMEM_POLICY'):
        return f'--policy {env["GMEM_POLICY"]}: it may let go of pages that are in use'
    if env.get('GMEM_EVICT') == 'adaptive':
        return '--evict adaptive: in a loop it lets go of what came last, pages that are in use'
    return ''


def _recording(sweep, device):
    """The name of its recording's files; the program runs if there is none yet."""
    name = 'recorded%d' % list(dict.fromkeys(c.device for c in sweep.configs)).index(device)
    if not os.path.exists(sweep.path(name + '.run.json')):
        runs.run_as(sweep, name, {**sweep.variables(plan.Config(device, None, ())), **RECORDING, 'GMEM_RECORD': sweep.path(sweep.of_each(name + '.gmr'))})
    return name


def _files(sweep, name):
    """For each process that used the device: what its name ends with, and the recording."""
    return [(match[1], sweep.path(f)) for f in sorted(os.listdir(sweep.folder)) if (match := re.fullmatch(re.escape(name) + r'\.gmr((?:\.\d+)*)', f))]


def _complete(path, recorded):
    """The replay knows of the program what is in the recording; what it was, and the names of call sites, stand in the recorded run's report."""
    sites = {s['row']: s for s in recorded.get('sites', []) if 'row' in s}
    with open(path, encoding='utf-8') as file:
        replayed = json.load(file)
    for key in ('program', 'command', 'pid', 'rank', 'ended', 'signal'):
        if key in recorded:
            replayed[key] = recorded[key]
    for site in replayed['sites']:
        site.update({k: sites[site['row']][k] for k in ('where', 'stack')} if site['row'] in sites else {})
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(replayed, file, indent=1)


def _replay_file(sweep, name, end, recording, numbers):
    """One process's recording under these configurations; how each ended."""
    lines, ended = '', {}
    for n in numbers:
        variables = {**sweep.env, **sweep.configs[n].environment()}
        lines += '\t'.join([sweep.path(f'{n}{end}.json')] + [f'{k}={v}' for k, v in variables.items() if k.startswith('GMEM_')]) + '\n'
    done = subprocess.run([runs.beside('gmem-replay'), recording, str(sweep.limit)], input=lines, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        path, how, *turns = line.split('\t')
        ended[int(os.path.basename(path).split('.')[0])] = how
        sweep.turns |= bool(turns)
    path = sweep.path(name + end + '.json')
    recorded = report.load(path) if os.path.exists(path) else {}  # a process that was ended
    for n in numbers:
        if ended.get(n, 'failed') == 'failed':
            raise plan.Mistake(f'{sweep.configs[n].text()}: {done.stderr.strip() or "gmem-replay has ended"}')
        _complete(sweep.path(f'{n}{end}.json'), recorded)
    return ended



def run(sweep, numbers):
    """Replays these configurations, and records first what has not been recorded."""
    for device in dict.fromkeys(sweep.configs[n].device for n in numbers):
        mine = [n for n in numbers if sweep.configs[n].device == device]
        name = _recording(sweep, device)
        how = runs.how_it_ended(sweep, name)
        ended = {n: set() for n in mine}
        for end, recording in _files(sweep, name):
            for n, word in _replay_file(sweep, name, end, recording, mine).items():
                ended[n].add(word)
        for n in mine:
            if not ended[n]:  # no device was used, or the program did not come so far
                runs.copy_report(sweep, name, n)
            note = how['note'] or (f'over the limit of {sweep.limit:.3g} s' if 'cut' in ended[n] else '')
            runs.write_end(sweep, n, {'note': note, 'wall_s': None, 'least': 'least' in ended[n]})


# ---- held against runs ------------------------------------------------------------------------------------------------------

CHECKED = 3


def sample(results):
    """Where a replay can be wrong: all memory, the least that is no lower bound only, the other policies."""
    good = [r for r in results if r.ok and r.wall is None and not r.least and not r.config.copies]
    tight = [r for r in good if r.evicted] or good
    picks = [max(good, key=lambda r: r.mem), min(tight, key=lambda r: r.mem)] if good else []
    others = [r for r in tight if r.config.policy() not in [p.config.policy() for p in picks]]
    picks += sorted(others, key=lambda r: r.mem)[:1]
    return list(dict.fromkeys(picks))[:CHECKED]


def off(replayed, real):
    """By how many percent; None: there is nothing to compare."""
    return 100 * (replayed / real - 1) if real else None if replayed else 0.0
