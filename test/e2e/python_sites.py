"""Big blocks from lines that a report must name: prints of each what Python itself says, function:line."""
import sys

import gmem

kept = []
device = gmem.Device("pcie4-gpu,mem=256M")


def here():
    return sys._getframe(1).f_lineno


def note(bytes_, line=None):
    frame = sys._getframe(1)
    kept.append(bytes_)
    bytes_[:] = b"1" * len(bytes_)
    gmem.prefetch(memoryview(bytes_)[65536:-65536], device.node)
    print(f"{frame.f_code.co_qualname if hasattr(frame.f_code, 'co_qualname') else frame.f_code.co_name}:{line or frame.f_lineno}")


def plain():
    note(bytearray(4 << 20))


class Holder:
    def method(self):
        def inner():
            note(bytearray(5 << 20))

        inner()

    def größe_Ω(self):
        note(bytearray(6 << 20))


def generator():
    yield 1
    note(bytearray(7 << 20))
    yield 2


def by_comprehension():
    return [note(bytearray(n << 20)) for n in (8,)]


def backwards():
    # the call is above its arguments, and has its line only once they are there
    note(

        bytearray(9 << 20), here())


def my_alloc(n):
    return bytearray(n)


def through_a_function():
    note(my_alloc(10 << 20))


# a table of lines longer than any buffer, and lines further apart than a byte can say
source = "def long_one():\n" + "    x = 1; y = [x, x, x]\n" * 3000 + "\n" * 1000 + "    note(bytearray(11 << 20))\n"
exec(compile(source, "generated.py", "exec"))

plain()
Holder().method()
Holder().größe_Ω()
list(generator())
by_comprehension()
backwards()
through_a_function()
long_one()
device.close()
