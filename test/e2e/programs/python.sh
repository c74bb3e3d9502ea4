# shellcheck shell=bash
# CPython: big containers, threads, processes, mmap, sockets, pickling, zlib, regular expressions, the collector.
python=/usr/bin/python3
[ -x $python ] || { echo "$python is not installed"; exit 77; }
exec $python - <<'END'
import gc, hashlib, json, mmap, multiprocessing, os, pickle, re, signal, socket, subprocess, sys, tempfile, threading, zlib
from concurrent.futures import ThreadPoolExecutor

data = {i: [str(i * 31), float(i) / 7, (i, i + 1)] for i in range(60000)}
print(hashlib.md5(pickle.dumps(data)).hexdigest())
blob = json.dumps(list(data.values())).encode()
print(len(zlib.compress(blob, 6)), zlib.decompress(zlib.compress(blob, 1)) == blob)
print(len(re.findall(rb"7[0-9]+", blob)))
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: hashlib.sha1(blob * n).hexdigest()[:8], range(1, 5))))
def work(n):
    return sum(i * i for i in range(n))
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(1000, 30000, 5000)))
print(subprocess.run(["tr", "a-z", "A-Z"], input=b"through a child" * 3, capture_output=True).stdout)
with tempfile.TemporaryFile() as f:
    f.write(blob)
    f.flush()
    with mmap.mmap(f.fileno(), 0) as m:
        print(m.find(b"59999"), m[-20:])
a, b = socket.socketpair()
def feed():
    with a:
        a.sendall(blob)
thread = threading.Thread(target=feed)
thread.start()
got = bytearray()
while chunk := b.recv(70000):
    got += chunk
thread.join()
print(got == blob)
signal.signal(signal.SIGALRM, lambda *_: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
lock, total = threading.Lock(), 0
def add():
    global total
    for _ in range(20000):
        with lock:
            total += 1
threads = [threading.Thread(target=add) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(total)
class Node:
    def __init__(self, next): self.next = next
head = None
for i in range(50000):
    head = Node(head)
head.next.next = head
del head
print(gc.collect() >= 1)
pid = os.fork()
if not pid:
    print(sum(len(v) for v in data.values()), flush=True)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
r = subprocess.run([sys.executable, "-c", "import ctypes; ctypes.string_at(8)"], capture_output=True)
print("a wild pointer ends with", r.returncode)
END
