"""gmem-top: what runs under GMEM now, as nvidia-smi and nvtop show it for real devices."""
import argparse
import curses
import json
import subprocess
import sys
import time
from . import runs, show

PROG = 'gmem-top'


def snapshot():
    """What `gmem-report --live` sees: for each process of this user its report so far and what holds now."""
    done = subprocess.run([runs.beside('gmem-report'), '--live'], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f'{PROG}: {done.stderr.strip() or "gmem-report --live failed"}')
    return {p['report']['pid']: p for p in json.loads(done.stdout)}


def _rate(before, after, get):
    """Per second between two looks at the same process; None: there was none before, or another with its number."""
    if not before or before['report']['command'] != after['report']['command'] or before['report']['wall_s'] > after['report']['wall_s']:
        return None
    seconds = (after['now']['time_ns'] - before['now']['time_ns']) / 1e9
    return max(0, get(after) - get(before)) / seconds if seconds > 0 else None


THRASHES = 0.5  # so much of what comes to a device had had to be evicted before


def _device_rates(rate, i, device, held):
    def per_s(key):
        return rate(lambda p: p['report']['devices'][i][key] if i < len(p['report']['devices']) else 0)
    came, again = per_s('h2d_bytes'), per_s('refetched_bytes')
    return {'name': device['name'], 'mem_bytes': device['mem_bytes'], 'resident_bytes': held, 'faults_per_s': per_s('faults'),
            'evicted_bytes_per_s': per_s('evicted_bytes'), 'refetched_bytes_per_s': again,
            'thrashes': bool(came and again >= THRASHES * came), 'kernels': device['kernels']}


def rates(before, after):
    """The process `after` with what happens in it per second."""
    r = after['report']

    def rate(get):
        return _rate(before, after, get)
    return {'pid': r['pid'], 'command': r['command'] or r['program'], 'seconds': r['wall_s'], 'managed_bytes': after['now']['managed_bytes'],
            'cpu_faults_per_s': rate(lambda p: p['report']['cpu_faults']['count']),
            'to_devices_bytes_per_s': rate(lambda p: p['report']['migrated']['h2d_bytes']),
            'home_bytes_per_s': rate(lambda p: p['report']['migrated']['d2h_bytes']),
            'thrashing_per_s': rate(lambda p: p['report']['thrash']['granules']),
            'devices': [_device_rates(rate, i, d, held) for i, (d, held) in enumerate(zip(r['devices'], after['now']['resident_bytes']))]}


def _per_s(value, form):
    return '-' if value is None else form(value) + '/s'


def _bar(part, whole, width=20):
    full = round(width * min(1, part / whole)) if whole else 0
    return '[' + '#' * full + '.' * (width - full) + ']'


def lines(processes):
    """The view as text, a list of lines; the first of each process begins with its pid."""
    if not processes:
        return ['No process of this user runs under GMEM with a report (run-with-gmem PROGRAM starts one).']
    text = [f'{"PID":>8} {"TIME":>8} {"MANAGED":>9} {"CPU FAULTS":>12} {"TO DEVICES":>12} {"HOME":>12}  COMMAND']
    for p in processes:
        text.append(f'{p["pid"]:>8} {show.seconds(p["seconds"]):>8} {show.size(p["managed_bytes"]):>9} '
                    f'{_per_s(p["cpu_faults_per_s"], lambda v: f"{v:,.0f}"):>12} {_per_s(p["to_devices_bytes_per_s"], show.size_about):>12} '
                    f'{_per_s(p["home_bytes_per_s"], show.size_about):>12}  {p["command"]}')
        for d in p['devices']:
            warn = '  THRASHES' if d['thrashes'] else ''
            text.append(f'{"":>8} {d["name"]} {_bar(d["resident_bytes"], d["mem_bytes"])} {show.size(d["resident_bytes"])} of '
                        f'{show.size(d["mem_bytes"])}, {show.count(d["kernels"])} kernels, faults {_per_s(d["faults_per_s"], lambda v: f"{v:,.0f}")}, '
                        f'evicted {_per_s(d["evicted_bytes_per_s"], show.size_about)}{warn}')
    return text


def looks(interval):
    """Views, one after the other, `interval` seconds apart: the first two looks make the first."""
    before = snapshot()
    while True:
        time.sleep(interval)
        after = snapshot()
        yield [rates(before.get(pid), p) for pid, p in sorted(after.items())]
        before = after


def _screen(window, interval):
    curses.curs_set(0)
    curses.use_default_colors()
    window.timeout(0)
    window.addstr(0, 0, f'{PROG}: looking')
    window.refresh()
    for processes in looks(interval):
        key = window.getch()
        if key in (ord('q'), 27):
            return
        height, width = window.getmaxyx()
        window.erase()
        head = f'{PROG}  {time.strftime("%H:%M:%S")}  {len(processes)} process{"es" if len(processes) != 1 else ""}, every {interval:g} s; q ends'
        for y, line in enumerate([head] + lines(processes)):
            if y < height - 1:
                style = curses.A_REVERSE if y == 1 and processes else curses.A_BOLD if line.endswith('THRASHES') or y == 0 else 0
                window.addnstr(y, 0, line, width - 1, style)
        window.refresh()


def main(args):
    parser = argparse.ArgumentParser(prog=PROG, description='Shows what runs under GMEM now: processes of this user, their devices, memory, '
                                     'faults, what goes over the links.')
    parser.add_argument('--once', action='store_true', help='one view, and end')
    parser.add_argument('--json', action='store_true', help='as JSON, one line a view')
    parser.add_argument('--interval', type=float, default=1, metavar='SECONDS', help='between two looks (default 1)')
    options = parser.parse_args(args)
    if options.interval <= 0:
        parser.error('--interval: more than 0')
    try:
        if not options.once and not options.json and sys.stdout.isatty():
            curses.wrapper(_screen, options.interval)
            return 0
        for processes in looks(options.interval):
            print(json.dumps(processes) if options.json else '\n'.join(lines(processes)), flush=True)
            if options.once:
                return 0
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0
