"""The parts of gmem-report, gmem-sweep and gmem-top that are written in Python: gmem-report starts `python3 FOLDER VERB ARGUMENTS`."""
import importlib
import signal
import sys

VERBS = {'diff': 'diff', 'export': 'export', 'html': 'page', 'merge': 'merge', 'sweep': 'sweep', 'top': 'top'}


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # | head
    verb = sys.argv[1] if len(sys.argv) > 1 else ''
    if verb not in VERBS:
        sys.exit(f'gmem: no such tool: {verb} (valid: {", ".join(VERBS)})')
    try:
        tool = importlib.import_module('gmem_tools.' + VERBS[verb])
    except ModuleNotFoundError as error:
        sys.exit(f'gmem {verb}: the Python module {error.name} is missing (Debian: python3-{error.name})')
    sys.exit(tool.main(sys.argv[2:]))


main()
