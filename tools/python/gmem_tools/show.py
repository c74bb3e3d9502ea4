"""Numbers as people read them: three significant digits and a unit, as tools/view_text.c writes them."""

BYTES = ((1 << 40, 'TiB'), (1 << 30, 'GiB'), (1 << 20, 'MiB'), (1 << 10, 'KiB'), (1, 'B'))
SECONDS = ((1, 's'), (1e-3, 'ms'), (1e-6, 'us'), (1e-9, 'ns'))


def _scaled(value, units):
    size, name = next(((s, n) for s, n in units if abs(value) >= s * 0.9995), units[-1])
    x = value / size
    if x == int(x) and abs(x) < 1e9:
        return f'{int(x)} {name}'
    return f'{x:.{2 if abs(x) < 9.995 else 1 if abs(x) < 99.95 else 0}f} {name}'


def size(value):
    return _scaled(value, BYTES)


def size_about(value):
    """Of what is no whole number of bytes, such as a rate."""
    return size(round(value))


def seconds(value):
    if value is None:
        return 'not known'
    return _scaled(value, SECONDS) if value else '0 s'


def count(value):
    return f'{value:,}'


def quantity(value, unit):
    """A field of the report in the unit that its schema names; None: what is not known."""
    if value is None:
        return 'not known'
    if unit == 'bytes':
        return size(value)
    if unit == '4 KiB':
        return f'{count(value)} pages'
    if unit.startswith('s'):
        return seconds(value)
    if unit == 'ns':
        return seconds(value / 1e9)
    return count(value)


def change(before, after):
    """'+12 %', 'x3.4', 'new', 'gone', '' (the same, or not known)."""
    if before == after or before is None or after is None:
        return ''
    if not before:
        return 'new'
    if not after:
        return 'gone'
    ratio = after / before
    if 0.5 < ratio < 2:
        return f'{100 * (ratio - 1):+.1f} %'
    return f'x{ratio:.3g}'
