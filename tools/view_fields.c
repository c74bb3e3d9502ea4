/* view_fields.c - the one table of what a report holds. See view_fields.h. */
#include "tools/view_fields.h"

#define AT(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

const struct view_field view_fields[] = {
	{NULL, "program", VIEW_TEXT, AT(view, program), "the executable"},
	{NULL, "command", VIEW_TEXT, AT(view, command), "its arguments, with spaces between"},
	{NULL, "pid", VIEW_COUNT, AT(view, pid), "its process"},
	{NULL, "rank", VIEW_TEXT, AT(view, rank),
	 "which process of an MPI program it is, as its launcher told it (OMPI_COMM_WORLD_RANK, "
	 "PMIX_RANK, PMI_RANK, MV2_COMM_WORLD_RANK, SLURM_PROCID); empty: none did"},
	{NULL, "wall_s", VIEW_SECONDS, AT(view, wall_s), "measured, from its start to its end"},
	{NULL, "ended", VIEW_TEXT, AT(view, ended),
	 "`exit`, `exec` (became another program), `signal`, or `unknown`"},
	{NULL, "signal", VIEW_COUNT, AT(view, signal), "which signal ended it; 0: none"},
	{NULL, "idle", VIEW_TEXT, AT(view, idle),
	 "why nothing ran on a device, and what to do; empty when something did, or nobody knows"},
	{NULL, "limit", VIEW_TEXT, AT(view, limit),
	 "which limit of `--limit` was reached: `time`, `faults`, `bytes`; empty: none. What comes "
	 "after it counts as not modelled"},
	{NULL, "limit_s", VIEW_SECONDS, AT(view, limit_s), "when that was, from its start"},
	{NULL, "left", VIEW_TEXT, AT(view, left),
	 "the system call by which it confined itself, or had itself traced, and before which it "
	 "became an ordinary process; empty: it did not"},
	{NULL, "left_s", VIEW_SECONDS, AT(view, left_s), "when that was, from its start"},
	{"migrated", "h2d_bytes", VIEW_BYTES, AT(view, h2d_bytes), "copied from host to device"},
	{"migrated", "d2h_bytes", VIEW_BYTES, AT(view, d2h_bytes), "copied from device to host"},
	{"migrated", "peer_bytes", VIEW_BYTES, AT(view, peer_bytes),
	 "copied from device to device, over links between them"},
	{"migrated", "h2d_pages", VIEW_PAGES, AT(view, h2d_pages), "the same in pages"},
	{"migrated", "d2h_pages", VIEW_PAGES, AT(view, d2h_pages), "the same in pages"},
	{"migrated", "prefetched_pages", VIEW_PAGES, AT(view, prefetched_pages),
	 "moved to the device without a fault of their own"},
	{"migrated", "zeroed_pages", VIEW_PAGES, AT(view, zeroed_pages),
	 "never written by the program: given to the device as zeros, nothing copied"},
	{"migrated", "counted_pages", VIEW_PAGES, AT(view, counted_pages),
	 "moved because they were used often over the bus (`--placement counted`)"},
	{"thrash", "granules", VIEW_COUNT, AT(view, thrash_leaves),
	 "granules of 64 KiB that came back to a device three times within a second"},
	{"thrash", "throttled", VIEW_COUNT, AT(view, thrash_throttled),
	 "faults that were made to wait for that (`--thrash throttle`)"},
	{"thrash", "pins", VIEW_COUNT, AT(view, thrash_pins),
	 "granules held on the host for that (`--thrash pin`)"},
	{"cpu_faults", "count", VIEW_COUNT, AT(view, cpu_faults),
	 "SIGSEGVs (or userfaultfd events) that brought pages home or restored rights"},
	{"cpu_faults", "p50_ns", VIEW_NS, AT(view, p50_ns),
	 "measured inside the handler: median, within 7 %"},
	{"cpu_faults", "p99_ns", VIEW_NS, AT(view, p99_ns),
	 "measured inside the handler: 99 % take no longer, within 7 %"},
	{"cpu_faults", "spurious", VIEW_COUNT, AT(view, cpu_faults_spurious),
	 "somebody else had been faster"},
	{"managed", "bytes_peak", VIEW_BYTES, AT(view, managed_peak_bytes),
	 "address space that may migrate, at its peak"},
	{"managed", "metadata_bytes", VIEW_BYTES, AT(view, metadata_bytes),
	 "what the bookkeeping took"},
	{"offload", "blas_calls", VIEW_COUNT, AT(view, blas_calls), "BLAS-3 calls seen"},
	{"offload", "blas_device", VIEW_COUNT, AT(view, blas_device), "of these run on the device"},
	{"offload", "blas_host", VIEW_COUNT, AT(view, blas_host), "of these run on the host"},
	{"syscalls", "pinned", VIEW_COUNT, AT(view, syscalls_pinned),
	 "system calls whose buffers were held in place"},
	{"syscalls", "dispatched", VIEW_COUNT, AT(view, syscalls_dispatched),
	 "system calls that came through Syscall User Dispatch, because no hook saw them"},
	{"forks", "count", VIEW_COUNT, AT(view, forks), "forks"},
	{"forks", "copied_bytes", VIEW_BYTES, AT(view, forks_copied_bytes),
	 "copied for their children"},
	{"trace", "events", VIEW_COUNT, AT(view, trace_events),
	 "events in the trace (`--trace`, docs/trace.md)"},
	{"trace", "lost", VIEW_COUNT, AT(view, trace_lost),
	 "events that came faster than they could be written"},
	{"chaos", "reads", VIEW_COUNT, AT(view, chaos_reads),
	 "GMEM_CHAOS (for tests): pages read on the device"},
	{"chaos", "writes", VIEW_COUNT, AT(view, chaos_writes), "pages written on the device"},
	{"chaos", "places", VIEW_COUNT, AT(view, chaos_places), "pages moved"},
	{"chaos", "refused", VIEW_COUNT, AT(view, chaos_refused), "what could not be done"},
};
const size_t view_nfields = GM_ARRAY_LEN(view_fields);

static const struct view_field device_fields[] = {
	{NULL, "name", VIEW_TEXT, AT(view_dev, name), "its profile, as given"},
	{NULL, "mem_bytes", VIEW_BYTES, AT(view_dev, mem_bytes), "its memory; 0: none of its own"},
	{NULL, "page_bytes", VIEW_BYTES, AT(view_dev, page_bytes), "its page size"},
	{NULL, "kernels", VIEW_COUNT, AT(view_dev, kernels), "launches that ran to their end"},
	{NULL, "kernels_failed", VIEW_COUNT, AT(view_dev, kernels_failed), "launches that did not"},
	{NULL, "faults", VIEW_COUNT, AT(view_dev, faults),
	 "far faults: a worker touched a page that the device had no right to, and waited for it"},
	{NULL, "faults_merged", VIEW_COUNT, AT(view_dev, faults_merged),
	 "faults on pages that had just come with another one"},
	{NULL, "fault_batches", VIEW_COUNT, AT(view_dev, fault_batches),
	 "times that the host looked for faults and found some"},
	{NULL, "modelled_s", VIEW_KNOWN_SECONDS, AT(view_dev, modelled_s),
	 "virtual time of the device model, all parts; null when a part is not known "
	 "(modelled_parts has the rest)"},
	{NULL, "modelled_basis", VIEW_TEXT, AT(view_dev, basis),
	 "`counted`; `sampled +-N %`: some launches' way over the bus is a mean of others, at two "
	 "standard errors; `not modelled`"},
	{NULL, "launches_not_modelled", VIEW_COUNT, AT(view_dev, unmodelled),
	 "launches that compute, or reach over the bus, what nobody counted"},
	{"modelled_parts", "kernels_s", VIEW_SECONDS, AT(view_dev, kernel_s),
	 "kernels as counted, and their launches"},
	{"modelled_parts", "bus_s", VIEW_SECONDS, AT(view_dev, bus_s),
	 "what accesses to the host's memory add to them"},
	{"modelled_parts", "faults_s", VIEW_SECONDS, AT(view_dev, fault_s), "far faults"},
	{"modelled_parts", "transfers_s", VIEW_SECONDS, AT(view_dev, link_s),
	 "copies over the link"},
	{"modelled_parts", "cpu_bus_s", VIEW_SECONDS, AT(view_dev, cpu_bus_s),
	 "the CPU's accesses to device memory"},
	{"modelled_parts", "peers_s", VIEW_SECONDS, AT(view_dev, peer_s),
	 "copies over links to other devices, and what accesses over them add to kernels"},
	{"modelled_parts", "known_s", VIEW_SECONDS, AT(view_dev, known_s), "their sum"},
	{"bottom_line", "unified_s", VIEW_KNOWN_SECONDS, AT(view_dev, modelled_s),
	 "modelled: this run as it was (modelled_s)"},
	{"bottom_line", "copies_s", VIEW_KNOWN_SECONDS, AT(view_dev, copies_s),
	 "modelled: the same launches, all that each touches copied in before it and back after it "
	 "(without the computing of those that are not modelled)"},
	{"bottom_line", "host_s", VIEW_SECONDS, AT(view_dev, host_s),
	 "measured: the same launches on this machine's CPUs (the workers' time, without the "
	 "faults that were served)"},
	{"bottom_line", "verdict", VIEW_TEXT, AT(view_dev, verdict),
	 "what the run was bound by, in words"},
	{NULL, "h2d_bytes", VIEW_BYTES, AT(view_dev, h2d_bytes), "copied to it"},
	{NULL, "refetched_bytes", VIEW_BYTES, AT(view_dev, refetched_bytes),
	 "of these, what it had had to evict before"},
	{NULL, "needs_bytes", VIEW_BYTES, AT(view_dev, needs_bytes),
	 "of memory: for all that it had used when it was noticed that it thrashes; 0: it was not"},
	{NULL, "touched_bytes", VIEW_BYTES, AT(view_dev, touched_bytes),
	 "pages that launches touched, each once a launch"},
	{NULL, "bus_bytes", VIEW_BYTES, AT(view_dev, bus_bytes), "of these over the bus"},
	{NULL, "cpu_bus_bytes", VIEW_BYTES, AT(view_dev, cpu_bus_bytes),
	 "pages of device memory that the CPU touched between launches"},
	{NULL, "resident_peak_bytes", VIEW_BYTES, AT(view_dev, resident_peak_bytes),
	 "most device memory that held pages at one time"},
	{NULL, "evicted_bytes", VIEW_BYTES, AT(view_dev, evicted_bytes), "sent home to make room"},
	{NULL, "given_bytes", VIEW_BYTES, AT(view_dev, given_bytes),
	 "of these, because another process of `--share` wanted the room"},
	{NULL, "remote_bytes", VIEW_BYTES, AT(view_dev, remote_bytes),
	 "mapped over the bus instead of moved"},
	{NULL, "peer_bytes", VIEW_BYTES, AT(view_dev, peer_bytes),
	 "of h2d_bytes, what came from other devices over a link to them"},
	{NULL, "peer_mapped_bytes", VIEW_BYTES, AT(view_dev, peer_mapped_bytes),
	 "mapped in other devices' memory instead of moved"},
	{NULL, "peer_used_bytes", VIEW_BYTES, AT(view_dev, peer_used_bytes),
	 "pages of it that launches touched, each once a launch"},
	{NULL, "restarts", VIEW_COUNT, AT(view_dev, restarts), "device processes that were lost"},
};
static const struct view_field kernel_fields[] = {
	{NULL, "name", VIEW_TEXT, AT(view_kernel, name),
	 "of BLAS, of a module, or an OpenMP target region: its function and line; `other`: more "
	 "than 63"},
	{NULL, "device", VIEW_COUNT, AT(view_kernel, device), "the index of its device"},
	{NULL, "launches", VIEW_COUNT, AT(view_kernel, launches), "that ran to their end"},
	{NULL, "failed", VIEW_COUNT, AT(view_kernel, failed), "that did not"},
	{NULL, "running", VIEW_COUNT, AT(view_kernel, running),
	 "launches that had not ended when the process did"},
	{NULL, "running_s", VIEW_SECONDS, AT(view_kernel, running_s),
	 "measured: how long the last of these had run"},
	{NULL, "wall_s", VIEW_SECONDS, AT(view_kernel, wall_s), "measured in the device process"},
	{NULL, "modelled_s", VIEW_KNOWN_SECONDS, AT(view_kernel, modelled_s),
	 "the model's; null: not known"},
	{NULL, "modelled_basis", VIEW_TEXT, AT(view_kernel, basis),
	 "what that is known from, as the device's"},
	{NULL, "faults", VIEW_COUNT, AT(view_kernel, faults),
	 "page faults of its threads; a thread that a library keeps for several regions at once "
	 "counts for none"},
	{NULL, "h2d_bytes", VIEW_BYTES, AT(view_kernel, h2d_bytes),
	 "what serving these moved to the device"},
	{NULL, "refetched_bytes", VIEW_BYTES, AT(view_kernel, refetched_bytes),
	 "of these, what had had to be evicted before"},
};
static const struct view_field object_fields[] = {
	{NULL, "name", VIEW_TEXT, AT(view_object, name),
	 "a file's path, `globals of libx.so`, `stack of main`, `the break`, kinds of memory; "
	 "`other`: what has gone, and more than 63"},
	{NULL, "bus_bytes", VIEW_BYTES, AT(view_object, bus_bytes),
	 "pages of it that launches touched, each once a launch; of the launches that were looked "
	 "at (`--sample`)"},
	{NULL, "device_faults", VIEW_COUNT, AT(view_object, device_faults), "of devices on it"},
};
static const struct view_field refused_fields[] = {
	{NULL, "name", VIEW_TEXT, AT(view_refused, name), "the region's function"},
	{NULL, "why", VIEW_TEXT, AT(view_refused, why), "in words"},
};
static const struct view_field site_fields[] = {
	{NULL, "where", VIEW_TEXT, AT(view_site, where),
	 "who asked for memory that moved: function and line where its module or a debug package "
	 "has them, "
	 "the innermost that is no allocator by its name; in Python (CPython 3.8 to 3.13) the "
	 "line of the program's own, not of a package. Blocks of 2 MiB and more, mappings, and "
	 "by samples small blocks; `other`: what nobody has looked at"},
	{NULL, "stack", VIEW_TEXT, AT(view_site, stack),
	 "up to 8 frames of it, the innermost first, ` < ` between"},
	{NULL, "h2d_bytes", VIEW_BYTES, AT(view_site, h2d_bytes),
	 "copied to a device. Counted by 2 MiB block: where two allocations share one, the larger "
	 "gets it"},
	{NULL, "refetched_bytes", VIEW_BYTES, AT(view_site, refetched_bytes),
	 "of these, what had had to be evicted before"},
	{NULL, "d2h_bytes", VIEW_BYTES, AT(view_site, d2h_bytes), "copied home"},
	{NULL, "cpu_faults", VIEW_COUNT, AT(view_site, cpu_faults), "of the CPU on it"},
	{NULL, "device_faults", VIEW_COUNT, AT(view_site, device_faults), "of devices on it"},
	{NULL, "row", VIEW_COUNT, AT(view_site, row),
	 "its number in traces and recordings of the same run"},
};

#define LIST(key, meaning, fields, items, count)                                                   \
	{                                                                                          \
		key, meaning, fields, GM_ARRAY_LEN(fields), offsetof(struct view, items),          \
			offsetof(struct view, count), sizeof(((struct view *)0)->items[0]),        \
			GM_ARRAY_LEN(((struct view *)0)->items)                                    \
	}

const struct view_list view_lists[] = {
	LIST("devices", "the simulated devices that were used", device_fields, dev, ndev),
	LIST("kernels", "one kernel on one device, the longest first", kernel_fields, kernel,
	     nkernels),
	LIST("objects",
	     "memory outside the windows that launches used over the bus (docs/outside.md), most "
	     "bytes first",
	     object_fields, object, nobjects),
	LIST("refused", "parallel regions that --offload openmp names and that ran on the host",
	     refused_fields, refused, nrefused),
	LIST("sites", "the allocations that moved, most bytes first", site_fields, site, nsites),
};
const size_t view_nlists = GM_ARRAY_LEN(view_lists);
