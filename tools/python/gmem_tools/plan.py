"""Which configurations a sweep runs."""
import dataclasses
import itertools
import re

MIB2 = 2 << 20  # a device's memory is a multiple of it
# name -> flag of run-with-gmem, variable
POLICIES = {name: ('--' + name, 'GMEM_' + name.upper()) for name in ('prefetch', 'evict', 'placement', 'thrash')}


class Mistake(Exception):
    """What the user gave is not usable."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One configuration: the device without its memory, its memory (None: what the profile says), the policies that were given."""
    device: str
    mem: int
    policies: tuple  # of (name, value)
    copies: bool = False  # the run that counts explicit copies: no row of the table

    @property
    def values(self):
        return dict(self.policies, device=self.device)

    def policy(self):
        """All but the memory: the curve that a run is a point of."""
        return self.device, self.policies, self.copies

    def with_mem(self, mem):
        return dataclasses.replace(self, mem=mem)

    def as_copies(self):
        kept = tuple(p for p in self.policies if p[0] != 'placement')
        return dataclasses.replace(self, policies=kept + (('placement', 'copy'),), copies=True)

    def environment(self):
        env = {POLICIES[name][1]: value for name, value in self.policies}
        env['GMEM_DEVICE'] = self.device + (f',mem={self.mem}' if self.mem else '')
        return env

    def text(self):
        """As flags of run-with-gmem."""
        return ' '.join([f'--device {self.environment()["GMEM_DEVICE"]}'] + [f'{POLICIES[n][0]} {v}' for n, v in self.policies])

    def as_json(self):
        return {'device': self.device, 'policies': dict(self.policies), 'copies': self.copies}

    @classmethod
    def of_json(cls, j):
        return cls(j['device'], j['mem'], tuple(j['policies'].items()), j['copies'])


def parse_size(text):
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?', text.strip(), re.IGNORECASE)
    if not match:
        raise Mistake(f'--mem {text}: not a size (valid: 512M, 1.5G, ...)')
    size = round(float(match[1]) * 1024 ** ' KMGT'.index(match[2].upper() or ' '))
    if size < MIB2 or size % MIB2:
        raise Mistake(f'--mem {text}: not a multiple of 2M')
    return size


def sizes(text):
    return sorted({parse_size(t) for t in text.split(',')}, reverse=True)


def combinations(options, mems):
    """Every combination of what is varied; values that were not given are left to their defaults."""
    lists = [[(name, v) for v in getattr(options, name).split(',')] for name in POLICIES if getattr(options, name)]
    return [Config(device, mem, policies) for device in options.device or ['pcie4-gpu'] for policies in itertools.product(*lists)
            for mem in mems]


def varied(configs):
    """The names of what is not the same everywhere."""
    names = ['device'] + list(POLICIES)
    return [n for n in names if len({c.values.get(n) for c in configs}) > 1]


def _round_up(size):
    return -(-size // MIB2) * MIB2


def ladder(peak, mem):
    """Sizes from what the program had resident down to an eighth of it, none above what it was tried with."""
    if not peak:
        return []
    steps = {_round_up(int(peak * part)) for part in (1.125, 1, 0.875, 0.75, 0.5, 0.25, 0.125)}
    return sorted((s for s in steps if s < mem), reverse=True)
