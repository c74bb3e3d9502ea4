#!/bin/bash
# Device profiles in files: --device FILE.toml, what is wrong with a bad one, and profiles from measurements.
# Prints "ok NAME" or "not ok NAME".
# shellcheck disable=SC2317  # test functions are called by name
# shellcheck source=test/e2e/functions.sh
. "$(dirname "$0")/functions.sh"
profile=$BUILD/gmem-profile

says() { grep -qF -- "$2" "$1" || { echo "no '$2' in:"; cat "$1"; return 1; }; }
# A copy of a built-in profile, changed by sed.
changed() { sed "$1" "$top/devices/pcie4-gpu.toml" >"$tmp/my.toml"; }
refused() { # refused SED-SCRIPT WHAT IT SAYS...
	local say
	changed "$1"
	shift
	"$profile" "$tmp/my.toml" >"$tmp/out" 2>"$tmp/err" && { echo "not refused:"; cat "$tmp/out"; return 1; }
	for say; do says "$tmp/err" "$say" || return 1; done
}

a_file_is_a_device_wherever_the_program_goes() {
	changed 's/^name = .*/name = "my-own"/; s/"4G"/"6G"/'
	(cd "$tmp" && "$run" --device my.toml,workers=3 --device pcie3-gpu -- bash -c 'cd /; env' >out 2>err) || { cat "$tmp/err"; return 1; }
	says "$tmp/out" 'custom,name=my-own,mem=6G' && says "$tmp/out" ',workers=3;pcie3-gpu'
}
a_built_in_name_and_its_file_are_the_same() {
	local name
	for name in "$top"/devices/*.toml; do
		"$profile" "$name" | grep -q "^custom,name=$(basename "$name" .toml)," || { echo "$name"; return 1; }
	done
	[ "$("$BUILD/gmem-report" --profiles | grep -c ': [0-9n]')" -ge 15 ]
}
every_profile_names_its_sources() { # a section with numbers and no source is refused
	refused '0,/^source.*/{//d}' 'my.toml:5' '[memory] has no source'
}
an_unknown_key_is_named_with_the_valid_ones() {
	refused 's/^l2 = .*/l3 = "40M"/' 'my.toml:9' "'l3' in [memory]" 'bytes, page, bandwidth_GBps, l2'
}
an_unknown_section_is_named() { refused 's/^\[cpu\]/[gpu]/' "'gpu'" '[remote], [cpu]'; }
bad_values_are_named_with_their_line() {
	refused 's/^single_Gflops = .*/single_Gflops = "fast"/' 'my.toml:13' 'single_Gflops is a number' &&
		refused 's/^bytes = .*/bytes = "many"/' 'my.toml:6' 'bytes is a size' &&
		refused 's/^latency_ns = 1300/points = [[4096, 10], [1024, 20]]/' 'my.toml' 'sizes rising' &&
		refused 's/^page = .*/page = /' 'my.toml:7'
}
what_is_missing_is_named() {
	refused '/^double_Gflops/d' '[compute] lacks double_Gflops' && refused '/^bandwidth_GBps = 25/d' '[link] needs points'
}
a_bad_file_stops_the_run() {
	echo 'name = 1' >"$tmp/bad.toml"
	"$run" --device "$tmp/bad.toml" /bin/true 2>"$tmp/err" && return 1
	says "$tmp/err" 'bad.toml:1' && [ "$(wc -l <"$tmp/err")" = 1 ]
}
without_the_wrapper_it_says_what_to_do() {
	GMEM_DEVICE=my.toml LD_PRELOAD=$BUILD/libgmem_preload.so /bin/true 2>"$tmp/err"
	says "$tmp/err" 'gmem-profile FILE.toml'
}
measurements_become_a_profile() {
	cat >"$tmp/m.csv" <<-CSV
		# bandwidthTest, p2pBandwidthLatencyTest, the data sheet
		name,measured
		about,this machine, measured
		memory.bytes,8G,data sheet
		memory.page,64K,data sheet
		memory.bandwidth_GBps,700,STREAM
		compute.single_Gflops,10000,data sheet
		compute.double_Gflops,5000,data sheet
		compute.launch_ns,4500,an empty kernel
		link.point,4096:1900,copies by size
		link.point,1048576:90000,copies by size
		fault.latency_ns,32000,one touch of a managed page
		remote.latency_ns,1400,pointer chase over host memory
		remote.bandwidth_GBps,11.5,read of host memory
		remote.sector,32,data sheet
		cpu.latency_ns,1500,pointer chase over device memory
		cpu.bandwidth_GBps,0.05,read of device memory
		cpu.sector,64,the CPU
	CSV
	"$BUILD/gmem-report" --profile-from "$tmp/m.csv" >"$tmp/m.toml" && says "$tmp/m.toml" 'source = "copies by size"' &&
		"$profile" "$tmp/m.toml" >"$tmp/out" && says "$tmp/out" 'link=4096:1900/1048576:90000' && says "$tmp/out" 'fault=32000ns' &&
		"$run" --report none --device "$tmp/m.toml" /bin/true
}
bad_measurements_are_named_with_their_line() {
	printf 'name,x\nlink.speed,3,me\n' >"$tmp/m.csv"
	"$profile" --from "$tmp/m.csv" 2>"$tmp/err" && return 1
	says "$tmp/err" "m.csv:2: unknown quantity 'link.speed'"
}

run_functions test/e2e/profile_test.sh 'says|changed|refused'
exit $failed
