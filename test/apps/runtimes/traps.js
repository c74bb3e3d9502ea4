// Node: buffers, compression, worker threads, child processes, files, and WebAssembly, whose out-of-bounds accesses are
// SIGSEGVs that V8's trap handler turns into exceptions.
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs'), os = require('os'), path = require('path');
const { spawnSync, execFile } = require('child_process');

function noise(n, seed) {
	const b = Buffer.alloc(n);
	for (let i = 0, x = seed; i < n; i++) {
		x = (Math.imul(x, 1103515245) + 12345) >>> 0;
		b[i] = (x >>> 16) & 63;
	}
	return b;
}

const hash = (b) => crypto.createHash('sha256').update(b).digest('hex').slice(0, 16);

function squeeze(seed) {
	const b = noise(1 << 20, seed);
	const z = zlib.deflateSync(b);
	return hash(zlib.inflateSync(z)) === hash(b) ? hash(b) : 'broken';
}

// (module (memory 1) (func (export "load") (param i32) (result i32) local.get 0 i32.load))
const wasm = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 5, 3, 1, 0, 1,
	7, 8, 1, 4, 0x6c, 0x6f, 0x61, 0x64, 0, 0, 0x0a, 9, 1, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b]);

function traps(rounds) {
	const { load } = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports;
	let good = 0, bad = 0;
	for (let i = 0; i < rounds; i++) {
		try {
			load(i % 2 ? 65536 + i * 4096 : i * 4);
			good++;
		} catch (e) {
			if (e instanceof WebAssembly.RuntimeError)
				bad++;
		}
	}
	return `${good} ${bad}`;
}

function work(seed) {
	return `${squeeze(seed)} ${traps(2000)}`;
}

function inWorker(seed) {
	return new Promise((resolve, reject) => {
		const w = new Worker(__filename, { workerData: seed });
		w.on('message', resolve);
		w.on('error', reject);
	});
}

async function main() {
	console.log('main', work(1));
	console.log('workers', (await Promise.all([2, 3, 4].map(inWorker))).join(', '));
	const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'traps-'));
	const file = path.join(dir, 'data');
	fs.writeFileSync(file, noise(3 << 20, 9));
	console.log('file', hash(fs.readFileSync(file)), hash(await fs.promises.readFile(file)));
	const reads = [];
	for (let i = 0; i < 20; i++)
		reads.push(fs.promises.readFile(file).then(hash));
	console.log('reads', new Set(await Promise.all(reads)).size);
	fs.rmSync(dir, { recursive: true });
	const child = spawnSync('sh', ['-c', 'cat | wc -c; exit 5'], { input: noise(1 << 19, 3) });
	console.log('child', child.status, child.stdout.toString().trim());
	const many = await Promise.all([...Array(8).keys()].map((i) => new Promise((resolve) =>
		execFile(process.execPath, ['-e', `console.log(${i} * 7)`], (e, out) => resolve(e ? String(e) : out.trim())))));
	console.log('children', many.join(' '));
	const bufs = [];
	for (let i = 0; i < 4000; i++) {
		bufs[i % 97] = Buffer.alloc(30000, i & 255);
		if (i % 13 === 0)
			bufs[(i * 7) % 97] = Buffer.concat(bufs.filter(Boolean).slice(0, 3)).subarray(0, 50000);
	}
	console.log('buffers', hash(Buffer.concat(bufs)));
	function deep() { return deep() + 1; }
	try {
		deep();
	} catch (e) {
		console.log('deep', e instanceof RangeError);
	}
}

if (isMainThread)
	main();
else
	parentPort.postMessage(work(workerData));
