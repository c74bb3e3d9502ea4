// The drawings of the page of gmem-report html. Colours: Okabe and Ito's, which colour-blind people tell apart.
'use strict';
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const runs = data.runs;
const COLORS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442', '#999999'];
const WIDTH = 1200;
const color = i => COLORS[i % COLORS.length];
const dark = c => d3.lab(c).l < 62;

// ---- numbers, as gmem_tools/show.py writes them ------------------------------------------------------------------------
function scaled(v, units) {
	const [size, name] = units.find(([s]) => Math.abs(v) >= s * 0.9995) || units[units.length - 1];
	const x = v / size;
	return (Number.isInteger(x) ? x : x.toFixed(x < 9.995 ? 2 : x < 99.95 ? 1 : 0)) + ' ' + name;
}
const bytes = v => scaled(v, [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [1024, 'KiB'], [1, 'B']]);
const seconds = v => v == null ? 'not known' : v ? scaled(v, [[1, 's'], [1e-3, 'ms'], [1e-6, 'us'], [1e-9, 'ns']]) : '0 s';
const count = d3.format(',');
const show = {'bytes': bytes, '4 KiB': v => `${count(v)} pages`, 's': seconds, 'ns': v => seconds(v / 1e9), '': count};
const percent = (part, whole) => (whole ? 100 * part / whole : 0).toFixed(1) + ' %';

// ---- tips: with the mouse and with the keyboard ------------------------------------------------------------------------
const tip = document.getElementById('tip');
function tipAt(text, x, y) {
	tip.textContent = text;
	tip.hidden = !text;
	if (!text)
		return;
	tip.style.left = Math.max(4, Math.min(x + 12, innerWidth - tip.offsetWidth - 8)) + 'px';
	tip.style.top = (y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 8 : y + 18) + 'px';
}
function tips(selection, text) {
	selection
		.on('mousemove', function (d) { tipAt(text(d), d3.event.clientX, d3.event.clientY); })
		.on('mouseleave.tip blur.tip', () => tipAt('', 0, 0))
		.on('focus.tip', function (d) {
			const box = this.getBoundingClientRect();
			if (this.matches(':focus-visible'))
				tipAt(text(d), box.left, box.bottom - 12);
		});
}
// Round numbers of bytes are powers of two: d3's own ticks are not.
function byteTicks(scale, most) {
	const high = scale.domain()[1], step = 2 ** Math.ceil(Math.log2(high / most));
	return d3.range(0, high, step);
}
function svg(where, height, what) {
	return d3.select(where).append('svg').attr('viewBox', `0 0 ${WIDTH} ${height}`).attr('width', WIDTH)
		.attr('role', 'img').attr('aria-label', what);
}
const nothing = (where, text) => d3.select(where).append('p').attr('class', 'note').text(text);

// ---- tables: a click on a column's name sorts by it --------------------------------------------------------------------
function table(where, caption, columns, rows) {
	const t = d3.select(where).append('table');
	t.append('caption').text(caption);
	const body = t.append('tbody');
	const draw = () => {
		const tr = body.selectAll('tr').data(rows).join('tr');
		tr.selectAll('td').data(r => columns.map(c => c.show ? c.show(c.get(r)) : c.get(r))).join('td').text(v => v);
	};
	const heads = t.insert('thead', 'tbody').append('tr').selectAll('th').data(columns).join('th').attr('scope', 'col');
	heads.append('button').text(c => c.name).attr('data-mark', '').on('click', function (c) {
		const up = this.dataset.mark === ' ▾';
		heads.select('button').attr('data-mark', '');
		this.dataset.mark = up ? ' ▴' : ' ▾';
		rows.sort((a, b) => (up ? 1 : -1) * d3.ascending(c.get(a), c.get(b)));
		heads.attr('aria-sort', d => d !== c ? null : up ? 'ascending' : 'descending');
		draw();
	});
	draw();
}

// ---- allocations: what moved, by run, call site and direction ------------------------------------------------------------
const moved = s => (s.h2d_bytes || 0) + (s.d2h_bytes || 0);

// Outermost caller first; a report without stacks has one frame for each site.
function frames(site) {
	const stack = site.stack ? site.stack.split(' < ').reverse() : [site.where];
	return stack.map(f => f === 'other' ? 'small blocks and all others' : f);
}
function tree() {
	const root = {name: runs.length > 1 ? 'all runs' : 'all bytes moved', children: []};
	for (const run of runs) {
		let top = root;
		if (runs.length > 1)
			root.children.push(top = {name: run.name, children: []});
		for (const site of run.report.sites || []) {
			let at = top;
			for (const name of frames(site)) {
				let next = at.children.find(c => c.name === name && c.children);
				if (!next)
					at.children.push(next = {name, children: []});
				at = next;
			}
			for (const [key, name, i] of [['h2d_bytes', 'to device', 1], ['d2h_bytes', 'home', 4]])
				if (site[key]) {
					const same = at.children.find(c => c.name === name);
					if (same)
						same.bytes += site[key];
					else
						at.children.push({name, bytes: site[key], way: i, site});
				}
		}
	}
	return root;
}
function flame() {
	const root = d3.hierarchy(tree()).sum(d => d.bytes || 0).sort((a, b) => b.value - a.value);
	if (!root.value)
		return nothing('#flame', 'Nothing moved.');
	const ROW = 26, depth = root.height + 1;
	d3.partition().size([WIDTH, depth * ROW])(root);
	const g = svg('#flame', depth * ROW, 'Bytes moved by call site').attr('role', 'group');
	const sites = new Map();
	root.eachBefore(n => {
		if (n.children && n.depth && !sites.has(n.data.name))
			sites.set(n.data.name, sites.size);
	});
	const fill = n => !n.depth ? '#dde3e8' : n.children ? color(sites.get(n.data.name)) : n.data.way === 1 ? '#f2d59b' : '#bfe0f5';
	const nodes = root.descendants();
	const box = g.selectAll('g').data(nodes).join('g').attr('class', 'box').attr('tabindex', 0).attr('role', 'button')
		.attr('aria-label', n => `${n.data.name}: ${bytes(n.value)}, ${percent(n.value, root.value)}`);
	box.append('rect').attr('height', ROW - 1).attr('fill', fill).attr('rx', 2);
	box.append('text').attr('x', 5).attr('y', 17).style('fill', n => dark(fill(n)) ? '#fff' : '#1b2733').style('pointer-events', 'none');
	tips(box, n => `${n.data.name}\n${bytes(n.value)}, ${percent(n.value, root.value)} of all` +
		(n.data.site ? `\nfaults: ${count(n.data.site.device_faults || 0)} of devices, ${count(n.data.site.cpu_faults || 0)} of the CPU` : ''));
	const chars = 6.6; // a character's width: text that does not fit is cut
	let focus = root;
	function zoom(to) {
		focus = to;
		const scale = WIDTH / (to.x1 - to.x0);
		const x = v => Math.max(0, Math.min(WIDTH, (v - to.x0) * scale));
		box.attr('transform', n => `translate(${x(n.x0)},${n.y0})`)
			.style('display', n => x(n.x1) - x(n.x0) < 0.3 ? 'none' : null);
		box.select('rect').attr('width', n => x(n.x1) - x(n.x0));
		box.select('text').text(n => {
			const room = Math.floor((x(n.x1) - x(n.x0) - 8) / chars);
			const text = `${n.data.name}  ${bytes(n.value)}`;
			return room < 3 ? '' : text.length <= room ? text : text.slice(0, room - 1) + '…';
		});
	}
	function go(n) {
		const next = n && nodes.indexOf(n);
		if (n && box.nodes()[next].style.display !== 'none')
			box.nodes()[next].focus();
	}
	const beside = (n, by) => { const row = nodes.filter(m => m.depth === n.depth); return row[row.indexOf(n) + by]; };
	box.on('click', n => zoom(n.children ? n : n.parent)).on('keydown', n => {
		const act = {Enter: () => zoom(n.children ? n : n.parent), Escape: () => zoom(focus.parent || root), ArrowUp: () => go(n.parent),
			ArrowDown: () => go(n.children && n.children[0]), ArrowLeft: () => go(beside(n, -1)), ArrowRight: () => go(beside(n, 1))}[d3.event.key];
		if (act) {
			d3.event.preventDefault();
			act();
		}
	});
	zoom(root);
}
function sites() {
	for (const run of runs) {
		const rows = (run.report.sites || []).slice();
		if (rows.length)
			table('#sites', runs.length > 1 ? run.name : 'By who asked for the memory', [
				{name: 'asked for by', get: s => s.where}, {name: 'to device', get: s => s.h2d_bytes || 0, show: bytes},
				{name: 'home', get: s => s.d2h_bytes || 0, show: bytes},
				{name: 'faults of devices', get: s => s.device_faults || 0, show: count},
				{name: 'faults of the CPU', get: s => s.cpu_faults || 0, show: count}], rows);
	}
}

// ---- bars ----------------------------------------------------------------------------------------------------------------
function bars(where, what, items, text) { // items: {name, value, color}
	d3.select(where).selectAll('svg').remove();
	const ROW = 24, LABEL = 330, VALUE = 110;
	const g = svg(where, items.length * ROW, what);
	const x = d3.scaleLinear().domain([0, d3.max(items, d => d.value) || 1]).range([0, WIDTH - LABEL - VALUE]);
	const row = g.selectAll('g').data(items).join('g').attr('transform', (d, i) => `translate(0,${i * ROW})`);
	row.append('text').attr('x', LABEL - 8).attr('y', 16).attr('text-anchor', 'end')
		.text(d => d.name.length > 46 ? '…' + d.name.slice(-45) : d.name);
	row.append('rect').attr('x', LABEL).attr('y', 3).attr('height', ROW - 7).attr('width', d => x(d.value)).attr('fill', d => d.color);
	row.append('text').attr('x', d => LABEL + x(d.value) + 6).attr('y', 16).text(d => text(d.value));
	tips(row, d => `${d.name}: ${text(d.value)}`);
}
function kernels() {
	const all = [].concat(...runs.map((run, i) => (run.report.kernels || []).map(k => Object.assign({run: run.name, index: i}, k))));
	if (!all.length)
		return nothing('#kernel-bars', 'No kernel ran on a device.');
	const measured = all.some(k => k.wall_s); // replays have measured nothing
	const [what, get, form] = measured ? ['Time measured in the device process', k => k.wall_s || 0, seconds]
		: ['Bytes moved to the device', k => k.h2d_bytes || 0, bytes];
	nothing('#kernel-bars', `${what}, by kernel` + (runs.length > 1 ? ' and run:' : ':'));
	const most = all.slice().sort((a, b) => get(b) - get(a)).slice(0, 20);
	bars('#kernel-bars', `${what}, by kernel`, most.map(k => ({name: runs.length > 1 ? `${k.name}, ${k.run}` : k.name, value: get(k),
		color: color(k.index)})), form);
	table('#kernel-table', 'All kernels', [
		{name: 'kernel', get: k => k.name}].concat(runs.length > 1 ? [{name: 'run', get: k => k.run}] : [], [
		{name: 'device', get: k => k.device || 0}, {name: 'launches', get: k => k.launches || 0, show: count},
		{name: 'failed', get: k => k.failed || 0, show: count}].concat(measured ? [{name: 'measured', get: k => k.wall_s || 0, show: seconds}] : [], [
		{name: 'modelled', get: k => k.modelled_s, show: seconds}, {name: 'faults', get: k => k.faults || 0, show: count},
		{name: 'moved to device', get: k => k.h2d_bytes || 0, show: bytes}])), all);
}

// ---- comparison: one number of all runs ------------------------------------------------------------------------------------
function comparison() {
	const select = d3.select('#compare-field');
	if (select.empty())
		return;
	const known = d => d.modelled_s == null ? (d.modelled_parts || {}).known_s || 0 : d.modelled_s;
	const first = key => r => d3.sum(r.devices || [], d => d[key] || 0);
	const choices = [
		['bytes moved to devices', 'bytes', r => (r.migrated || {}).h2d_bytes || 0], ['bytes moved home', 'bytes', r => (r.migrated || {}).d2h_bytes || 0],
		['page faults of devices', '', first('faults')], ['page faults of the CPU', '', r => (r.cpu_faults || {}).count || 0],
		['bytes evicted', 'bytes', first('evicted_bytes')], ['time measured', 's', r => r.wall_s || 0],
		['time modelled, as far as known, all devices', 's', r => d3.sum(r.devices || [], known)]];
	select.selectAll('option').data(choices).join('option').text(c => c[0]);
	const draw = () => {
		const [name, unit, get] = choices[select.property('selectedIndex')];
		bars('#compare-bars', name, runs.map((run, i) => ({name: run.name, value: get(run.report), color: color(i)})), show[unit]);
	};
	select.on('change', draw);
	draw();
}

// ---- sweeps: one curve for each policy, over the device's memory ---------------------------------------------------------------
const DASHES = ['', '8 4', '2 4', '12 4 2 4'];
const devices = key => r => d3.sum(r.report.devices, d => d[key] || 0);
const SWEPT = [['time modelled', seconds, r => r.modelled_s], ['page faults of devices', count, devices('faults')],
	['bytes moved to devices', bytes, r => r.report.migrated.h2d_bytes], ['bytes moved home', bytes, r => r.report.migrated.d2h_bytes],
	['bytes evicted', bytes, devices('evicted_bytes')], ['time measured', seconds, r => r.wall_s]];
function policies(runs) { // what tells the curves apart
	const names = ['device', 'prefetch', 'evict', 'placement', 'thrash'], value = (r, n) => n === 'device' ? r.device : r.policies[n] || '';
	const varied = names.filter(n => new Set(runs.map(r => value(r, n))).size > 1);
	return r => varied.map(n => n === 'device' ? value(r, n) : `${n} ${value(r, n)}`).join(', ') || 'default policies';
}
const more = r => r.cut || r.least ? 'more than ' : ''; // ended at its limit, or not all of it is recorded
function curves(where, all, [what, form, get]) {
	const runs = all.filter(r => get(r) != null); // replays have no measured time
	const HEIGHT = 380, LEFT = 90, RIGHT = 240, BOTTOM = 40, TOP = 12, name = policies(runs);
	d3.select(where).selectAll('svg').remove();
	const g = svg(where, HEIGHT, `${what} over the memory of the device`).attr('role', 'group');
	const sizes = [...new Set(runs.map(r => r.mem_bytes))].sort(d3.ascending);
	const x = d3.scalePoint().domain(sizes).range([LEFT, WIDTH - RIGHT]).padding(0.3);
	const [low, high] = d3.extent(runs.filter(r => get(r) > 0), get), wide = high / low > 50;
	const y = (wide ? d3.scaleLog().domain([low / 1.5, high * 1.5]) : d3.scaleLinear().domain([0, (high || 1) * 1.06])).range([HEIGHT - BOTTOM, TOP]);
	const at = r => y(wide ? Math.max(get(r), low / 1.5) : get(r));
	const round = v => [1, 2, 5].includes(Math.round(v / 10 ** Math.floor(Math.log10(v) + 1e-9)));
	const axis = d3.axisLeft(y).tickFormat(form).tickValues(wide ? y.ticks().filter(round) : form === bytes ? byteTicks(y, 7) : y.ticks(6));
	g.append('g').attr('class', 'axis grid').attr('transform', `translate(${LEFT},0)`).call(axis.tickSize(LEFT + RIGHT - WIDTH));
	g.append('g').attr('class', 'axis').attr('transform', `translate(0,${HEIGHT - BOTTOM})`).call(d3.axisBottom(x).tickFormat(bytes));
	g.append('text').attr('x', (LEFT + WIDTH - RIGHT) / 2).attr('y', HEIGHT - 4).attr('text-anchor', 'middle').text('memory of the device');
	d3.nest().key(name).entries(runs).forEach(({key, values}, i) => {
		values.sort((a, b) => a.mem_bytes - b.mem_bytes);
		g.append('path').attr('class', 'line').attr('d', d3.line().x(r => x(r.mem_bytes)).y(at)(values)).style('stroke', color(i))
			.style('stroke-dasharray', DASHES[i % DASHES.length]);
		const mark = d3.symbol().type(d3.symbols[i % d3.symbols.length]).size(90);
		const point = g.append('g').selectAll('g').data(values).join('g').attr('class', 'point').attr('tabindex', 0)
			.attr('transform', r => `translate(${x(r.mem_bytes)},${at(r)})`)
			.attr('aria-label', r => `${key}, ${bytes(r.mem_bytes)}: ${more(r)}${form(get(r))}`);
		point.append('path').attr('d', mark).style('fill', r => more(r) ? '#fff' : color(i)).style('stroke', color(i)).style('stroke-width', 2);
		point.filter(more).append('path').attr('d', 'M0,-8v-14m-5,5l5,-5l5,5').style('fill', 'none').style('stroke', color(i))
			.style('stroke-width', 2);
		tips(point, r => `${key}\n${bytes(r.mem_bytes)} of memory: ${more(r)}${form(get(r))}` + (r.note ? `\n${r.note}` : ''));
		const legend = g.append('g').attr('transform', `translate(${WIDTH - RIGHT + 24},${TOP + 14 + i * 22})`);
		legend.append('path').attr('d', 'M0,0h34').attr('class', 'line').style('stroke', color(i)).style('stroke-dasharray', DASHES[i % DASHES.length]);
		legend.append('path').attr('transform', 'translate(17,0)').attr('d', mark).style('fill', color(i));
		legend.append('text').attr('x', 42).attr('y', 4).text(key);
	});
}
function sweeps() {
	data.sweeps.forEach((sweep, i) => {
		const where = `#sweep${i} `, shown = sweep.runs.filter(r => r.report && !r.copies), name = policies(shown);
		const select = d3.select(where + '.field');
		const known = SWEPT.filter(([what, form, get]) => shown.some(r => get(r) != null));
		select.selectAll('option').data(known).join('option').text(c => c[0]);
		const draw = () => curves(where + '.curves', shown, known[select.property('selectedIndex')]);
		select.on('change', draw);
		draw();
		table(where + '.table', 'Runs', [{name: 'policies', get: name}, {name: 'memory', get: r => r.mem_bytes, show: bytes}].concat(
			known.map(([what, form, get]) => ({name: what, get, show: form})), [{name: '', get: r => r.note}]), shown.slice());
	});
}

// ---- over time: made of the trace, in bins ----------------------------------------------------------------------------------
const LEFT = 90, RIGHT = 20;
const byteRate = v => bytes(v) + '/s';
const timeAxis = (time, x) => d3.axisBottom(x).ticks(10).tickFormat(seconds);
const timeScale = time => d3.scaleLinear().domain([0, time.bins * time.bin_s]).range([LEFT, WIDTH - RIGHT]);

// One chart under the others: series are [{name, values, color, dash, area}], limit a value to draw as a line.
function pane(where, time, title, form, series, limit) {
	const HEIGHT = 150, TOP = 26, BOTTOM = 22, x = timeScale(time);
	const high = Math.max(d3.max(series, s => d3.max(s.values)), limit || 0) || 1;
	const y = d3.scaleLinear().domain([0, high * 1.04]).range([HEIGHT - BOTTOM, TOP]);
	const g = svg(where, HEIGHT, title).attr('role', 'group');
	g.append('text').attr('class', 'title').attr('x', LEFT).attr('y', 14).text(title);
	g.append('g').attr('class', 'axis').attr('transform', `translate(${LEFT},0)`).call(d3.axisLeft(y).tickFormat(form)
		.tickValues(form === bytes || form === byteRate ? byteTicks(y, 5) : y.ticks(4)));
	g.append('g').attr('class', 'axis').attr('transform', `translate(0,${HEIGHT - BOTTOM})`).call(timeAxis(time, x));
	const at = (v, b) => x(b * time.bin_s);
	series.forEach((s, i) => {
		if (s.area)
			g.append('path').attr('class', 'area').attr('d', d3.area().curve(d3.curveStepAfter).x(at).y0(y(0)).y1(v => y(v))(s.values));
		else
			g.append('path').style('fill', 'none').style('stroke', s.color).style('stroke-width', 1.6).style('stroke-dasharray', s.dash || '')
				.attr('d', d3.line().curve(d3.curveStepAfter).x(at).y(v => y(v))(s.values));
		if (series.length < 2)
			return;
		const key = g.append('g').attr('transform', `translate(${WIDTH - RIGHT - 330 + i * 170},10)`);
		key.append('path').attr('d', 'M0,0h30').style('stroke', s.color).style('stroke-width', 2).style('stroke-dasharray', s.dash || '');
		key.append('text').attr('x', 36).attr('y', 4).text(s.name);
	});
	if (limit)
		g.append('path').attr('class', 'limit').attr('d', `M${LEFT},${y(limit)}H${WIDTH - RIGHT}`);
	const bin = () => Math.max(0, Math.min(time.bins - 1, Math.floor(x.invert(d3.mouse(g.node())[0]) / time.bin_s)));
	g.on('mousemove', () => {
		const b = bin();
		tipAt([`at ${seconds(b * time.bin_s)}`].concat(series.map(s => `${s.name}: ${form(s.values[b])}`)).join('\n'), d3.event.clientX, d3.event.clientY);
	}).on('mouseleave', () => tipAt('', 0, 0));
}
function heat(where, time) {
	if (!time.cells.length)
		return nothing(where, 'Nothing moved.');
	const ROW = Math.max(6, Math.min(16, 500 / time.rows.length)), BOTTOM = 22, height = time.rows.length * ROW + BOTTOM, x = timeScale(time);
	const g = svg(where, height, 'Pages moved by address and time').attr('role', 'group').attr('tabindex', 0);
	const most = d3.max(time.cells, c => c[2]), shade = d3.scaleSequential(t => d3.interpolateCividis(0.92 - 0.92 * t)).domain([0, Math.log1p(most)]);
	const cell = (b => x((b + 1) * time.bin_s) - x(b * time.bin_s))(0);
	g.append('rect').attr('x', LEFT).attr('width', WIDTH - LEFT - RIGHT).attr('height', height - BOTTOM).attr('fill', '#eef1f4');
	g.append('g').selectAll('rect').data(time.cells).join('rect').attr('x', c => x(c[1] * time.bin_s)).attr('y', c => c[0] * ROW)
		.attr('width', Math.max(cell, 1.5)).attr('height', ROW - 0.5).attr('fill', c => shade(Math.log1p(c[2])));
	const every = Math.ceil(13 / ROW);
	g.append('g').selectAll('text').data(time.rows.filter((r, i) => i % every === 0)).join('text').attr('x', LEFT - 6).attr('text-anchor', 'end')
		.attr('y', (r, i) => i * every * ROW + Math.max(9, ROW * 0.8)).style('font-size', '10px').text(r => r.from.replace('0x', ''));
	g.append('g').attr('class', 'axis').attr('transform', `translate(0,${height - BOTTOM})`).call(timeAxis(time, x));
	const pages = new Map(time.cells.map(c => [c[0] + ' ' + c[1], c[2]]));
	const cursor = g.append('rect').attr('fill', 'none').attr('stroke', '#d55e00').attr('stroke-width', 2).attr('width', Math.max(cell, 3))
		.attr('height', ROW).style('display', 'none');
	let at = [0, 0];
	function look(row, bin, px, py) {
		at = [Math.max(0, Math.min(time.rows.length - 1, row)), Math.max(0, Math.min(time.bins - 1, bin))];
		const r = time.rows[at[0]];
		cursor.style('display', null).attr('x', x(at[1] * time.bin_s)).attr('y', at[0] * ROW);
		const box = g.node().getBoundingClientRect(), scale = box.width / WIDTH;
		tipAt(`${r.from} to ${r.to}\n${r.site || 'small blocks'}\nat ${seconds(at[1] * time.bin_s)}: ${count(pages.get(at.join(' ')) || 0)} pages moved`,
			px === undefined ? box.left + x(at[1] * time.bin_s) * scale : px, py === undefined ? box.top + at[0] * ROW * scale : py);
	}
	const away = () => { cursor.style('display', 'none'); tipAt('', 0, 0); };
	g.on('mousemove', () => {
		const [mx, my] = d3.mouse(g.node());
		look(Math.floor(my / ROW), Math.floor(x.invert(mx) / time.bin_s), d3.event.clientX, d3.event.clientY);
	}).on('mouseleave blur', away).on('focus', () => look(...at)).on('keydown', () => {
		const step = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[d3.event.key];
		if (step) {
			d3.event.preventDefault();
			look(at[0] + step[0], at[1] + step[1]);
		} else if (d3.event.key === 'Escape') {
			away();
		}
	});
}
function overTime() {
	for (const section of document.querySelectorAll('section.time')) {
		const run = runs.find(r => r.time && r.name === section.dataset.run), time = run.time, where = section.querySelector('.panes');
		const rate = v => v.map(n => n / time.bin_s), perSecond = v => d3.format(v < 10 ? '.2~r' : ',.0f')(v) + '/s';
		time.devices.forEach((d, i) => {
			const device = run.report.devices[i], name = `${device.name}${time.devices.length > 1 ? ' ' + i : ''}`;
			pane(where, time, `${name}: resident` + (device.mem_bytes && d3.max(d.resident) > device.mem_bytes / 4 ? ', and its memory (dashed)' : ''),
				bytes, [{name: 'resident', values: d.resident, area: true}], d3.max(d.resident) > device.mem_bytes / 4 ? device.mem_bytes : 0);
			pane(where, time, `${name}: the link`, byteRate, [{name: 'to the device', values: rate(d.in), color: COLORS[0]},
				{name: 'home', values: rate(d.out), color: COLORS[5], dash: '5 3'}]);
			pane(where, time, `${name}: page faults`, perSecond, [{name: 'faults', values: rate(d.faults), color: COLORS[2]}]);
		});
		pane(where, time, 'Page faults of the CPU', perSecond, [{name: 'faults', values: rate(time.cpu_faults), color: COLORS[3]}]);
		heat(section.querySelector('.heat'), time);
	}
}

addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(d => { d.open = true; }));
sweeps();
overTime();
flame();
sites();
kernels();
comparison();
})();
