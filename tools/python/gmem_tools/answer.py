"""What a sweep's runs say, in sentences: the knee, who is to blame, the cheapest policy at each size, what copies would have moved."""
from . import plan, report, show

THRASH = 1.5  # so many times the bytes that move where all fits


def curves(results):
    """The runs that went well, or so far, by policy, the largest memory first."""
    by_policy = {}
    for r in sorted(results, key=lambda r: -r.mem):
        if (r.ok or r.cut) and not r.config.copies:
            by_policy.setdefault(r.config.policy(), []).append(r)
    return by_policy


def traffic(r):
    return r.h2d + r.d2h


def thrashes(r, curve):
    return r.evicted > 0 and traffic(r) >= THRASH * traffic(curve[0])


def knee(curve):
    """(the smallest memory above all that thrash, the largest that thrashes); None for what there is not."""
    good = None
    for r in curve:
        if thrashes(r, curve):
            return good, r
        good = r
    return good, None


def knee_step(curve):
    """The memory to try next for a finer knee; None: it is fine enough."""
    good, bad = knee(curve)
    if not good or not bad or good.mem - bad.mem <= max(plan.MIB2, good.mem // 16):
        return None
    return (good.mem + bad.mem) // 2 // plan.MIB2 * plan.MIB2


def telling(results):
    """The runs to look at: all memory, and both sides of the knee, with the first policy."""
    by_policy = curves(results)
    if not by_policy:
        return []
    curve = first_curve(by_policy)
    return [r for r in dict.fromkeys((curve[0],) + knee(curve)) if r]


def first_curve(by_policy):
    return min(by_policy.values(), key=lambda curve: min(r.number for r in curve))


def flags(config):
    return ' '.join(f'{plan.POLICIES[n][0]} {v}' for n, v in config.policies) or 'the default policies'


def _name(site):
    return 'small blocks (below 2 MiB)' if site['where'] == 'other' else f'the memory that {site["where"]} asked for'


def _so_far(r):
    if r.least:
        return 'at least '
    if not r.cut:
        return ''
    return f'(in {r.wall:.3g} s, then it was ended) ' if r.wall is not None else '(as far as it was recorded) '


def _at_least(r):
    return 'at least ' if r.least else ''


def _knee(curve):
    good, bad = knee(curve)
    fits = [r for r in curve if not r.evicted]
    if fits:
        yield f'Fits in {show.size(fits[-1].mem)} of device memory: nothing is evicted.'
    else:
        yield f'Does not fit in {show.size(curve[0].mem)}, the largest that was tried: {show.size(curve[0].evicted)} are evicted.'
    if bad and good:
        most = traffic(curve[0])
        yield (f'Thrashes below {show.size(good.mem)}: with {show.size(bad.mem)} it moves {_so_far(bad)}{show.size(traffic(bad))}, '
               + (f'{traffic(bad) / most:.3g} times as much as with {show.size(curve[0].mem)}.' if most else
                  f'and nothing with {show.size(curve[0].mem)}.'))
    elif not bad and len(curve) > 1:
        yield f'Does not thrash down to {show.size(curve[-1].mem)}.'


def _blame(curve):
    """At the largest memory that thrashes: which allocation moved most, and during which kernel."""
    bad = knee(curve)[1]
    sites = report.keyed(bad.report, 'sites').values() if bad else []
    everything = sum(map(report.moved, sites))
    if not everything:
        return
    site = max(sites, key=report.moved)
    text = f'To blame at {show.size(bad.mem)}: {_name(site)}, {100 * report.moved(site) / everything:.0f} % of the bytes moved'
    kernels = [k for k in bad.report.get('kernels', []) if k.get('h2d_bytes')]
    if kernels:
        kernel = max(kernels, key=lambda k: k['h2d_bytes'])
        text += (f'; the kernel that pulls most of it in is {kernel["name"]} ({show.size(kernel["h2d_bytes"])} in '
                 f'{show.count(kernel.get("launches", 0))} launches)')
    yield text + '.'


def _cheapest(by_policy):
    """At each memory, by modelled time."""
    if len(by_policy) < 2:
        return
    sizes = {}
    for curve in by_policy.values():
        for r in curve:
            if r.ok:
                sizes.setdefault(r.mem, []).append(r)
    sizes = {mem: sorted(runs, key=lambda r: (r.modelled, traffic(r))) for mem, runs in sorted(sizes.items(), reverse=True) if len(runs) > 1}
    if sizes:
        partly = any(not r.whole for runs in sizes.values() for r in runs)
        yield 'Cheapest by modelled time' + (', as far as it is known (what kernels compute is the same for all):' if partly else ':')
    for mem, runs in sizes.items():
        best, worst = runs[0], runs[-1]
        device = f'{best.config.device}, ' if len({r.config.device for r in runs}) > 1 else ''
        yield (f'  with {show.size(mem)}: {device}{flags(best.config)}, {_at_least(best)}{show.seconds(best.modelled)}'
               + (f'; the worst, {flags(worst.config)}, takes {_at_least(worst)}{show.seconds(worst.modelled)}.' if best.modelled < worst.modelled
                  else ', as all others.'))


def _copies(results, curve):
    for r in results:
        if r.config.copies and r.ok and traffic(r):
            yield (f'Explicit copies, of all that each launch touches in and out again, would move {show.size(traffic(r))}; unified memory '
                   f'of {show.size(curve[0].mem)} moves {show.size(traffic(curve[0]))}.')


def sentences(results):
    by_policy = curves(results)
    if not by_policy:
        return
    first = first_curve(by_policy)
    if not first[0].report['devices']:
        yield 'The program used no device: nothing to choose.'
        return
    if len(by_policy) > 1:
        yield f'With {flags(first[0].config)} on {first[0].config.device}:'
    yield from _knee(first)
    yield from _blame(first)
    yield from _cheapest(by_policy)
    yield from _copies(results, first)
