/*
 * profile.cc - gmem-profile: device profiles as files (devices/ has the built-in ones,
 * docs/devices.md the format).
 *
 *	gmem-profile FILE.toml		the device string that the file stands for (what GMEM_DEVICE
 *					takes)
 *	gmem-profile --table FILE...	the same for many, as rows of a C table: the built-in
 *					profiles of libgmem
 *	gmem-profile --from FILE.csv	a profile from measurements
 *
 * A program of its own: a program under GMEM is never made to parse TOML. run-with-gmem.sh calls
 * it.
 */
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>
#include <toml++/toml.h>

namespace
{

enum class kind { word, bytes, number, yes, points };

/* One key of the file: where it stands, what it holds, which key of a device string it becomes. */
struct key {
	const char *section, *name;
	kind type;
	bool needed;
	const char *to, *unit; /* unit: behind the number in the device string */
};

const key keys[] = {
	{"memory", "bytes", kind::bytes, true, "mem", ""},
	{"memory", "page", kind::bytes, true, "page", ""},
	{"memory", "bandwidth_GBps", kind::number, true, "membw", "G"},
	{"memory", "l2", kind::bytes, false, "l2", ""},
	{"compute", "single_Gflops", kind::number, true, "single", ""},
	{"compute", "double_Gflops", kind::number, true, "double", ""},
	{"compute", "launch_ns", kind::number, true, "launch", "ns"},
	{"link", "points", kind::points, false, "link", ""},
	{"link", "latency_ns", kind::number, false, "latency", "ns"},
	{"link", "bandwidth_GBps", kind::number, false, "bw", "G"},
	{"link", "home_bandwidth_GBps", kind::number, false, "homebw", "G"},
	{"link", "duplex", kind::yes, false, "duplex", ""},
	{"fault", "latency_ns", kind::number, false, "fault", "ns"},
	{"fault", "batch", kind::number, false, "batch", ""},
	{"fault", "none", kind::yes, false, "nofault", ""},
	{"remote", "latency_ns", kind::number, true, "rlatency", "ns"},
	{"remote", "bandwidth_GBps", kind::number, true, "rbw", "G"},
	{"remote", "sector", kind::number, true, "rsector", ""},
	{"cpu", "latency_ns", kind::number, true, "clatency", "ns"},
	{"cpu", "bandwidth_GBps", kind::number, true, "cbw", "G"},
	{"cpu", "sector", kind::number, true, "csector", ""},
	{"peer", "link", kind::word, false, "peer", ""},
	{"peer", "latency_ns", kind::number, false, "peerlatency", "ns"},
	{"peer", "bandwidth_GBps", kind::number, false, "peerbw", "G"},
	{"peer", "sector", kind::number, false, "peersector", ""},
	{"peer", "in_place", kind::yes, false, "peermap", ""},
	{"page_table", "shared", kind::yes, false, "shared", ""},
	{"page_table", "counter_threshold", kind::number, false, "threshold", ""},
	{"page_table", "counter_granule", kind::bytes, false, "granule", ""},
};
const char *const sections[] = {"memory", "compute", "link", "fault",
				"remote", "cpu",     "peer", "page_table"};

struct bad : std::runtime_error {
	using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string &file, unsigned line, const std::string &what)
{
	throw bad(file + ":" + std::to_string(line) + ": " + what);
}

std::string text(double v)
{
	char s[40];

	snprintf(s, sizeof s, "%.10g", v);
	return s;
}

/* The valid keys of a section; of the file, if it is "". */
std::string valid(const std::string &section)
{
	std::string s = section.empty() ? "name, about, [memory], [compute], [link], [fault], "
					  "[remote], [cpu], [peer], [page_table]"
					: "source";

	for (const key &k : keys)
		if (section == k.section)
			s += std::string(", ") + k.name;
	return s;
}

/* "4G", "64K" or a number of bytes. */
bool is_bytes(const std::string &s)
{
	size_t digits = s.find_first_not_of("0123456789");

	return !s.empty() && (digits == std::string::npos ||
			      (digits && digits + 1 == s.size() && strchr("KMGT", s[digits])));
}

std::string points(const std::string &file, const key &k, const toml::node &node)
{
	const toml::array *all = node.as_array();
	std::string s;
	double before = 0;

	if (!all || all->size() < 2 || all->size() > 8)
		fail(file, node.source().begin.line,
		     "points is a list of 2 to 8 pairs [bytes, nanoseconds]");
	for (const toml::node &p : *all) {
		const toml::array *pair = p.as_array();
		auto b = pair && pair->size() == 2 ? pair->get(0)->value<double>() : std::nullopt;
		auto ns = pair && pair->size() == 2 ? pair->get(1)->value<double>() : std::nullopt;
		if (!b || !ns || *b <= before || *ns <= 0)
			fail(file, p.source().begin.line,
			     "a point of the link is [bytes, nanoseconds], sizes rising");
		before = *b;
		s += (s.empty() ? "" : "/") + text(*b) + ":" + text(*ns);
	}
	return s;
}

/* Of what a device string can carry. */
bool is_word(const std::string &s, size_t most)
{
	return !s.empty() && s.size() <= most &&
	       s.find_first_not_of(
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       std::string::npos;
}

std::string value(const std::string &file, const key &k, const toml::node &node)
{
	unsigned line = node.source().begin.line;
	auto number = node.value<double>();

	switch (k.type) {
	case kind::bytes:
		if (node.is_string() && is_bytes(*node.value<std::string>()))
			return *node.value<std::string>();
		if (node.is_integer() && *number >= 0)
			return text(*number);
		fail(file, line, std::string(k.name) + " is a size, e.g. \"4G\" or 65536");
	case kind::yes:
		if (!node.is_boolean())
			fail(file, line, std::string(k.name) + " is true or false");
		return *node.value<bool>() ? "yes" : "no";
	case kind::points:
		return points(file, k, node);
	case kind::word:
		if (!node.is_string() || !is_word(*node.value<std::string>(), 15))
			fail(file, line,
			     std::string(k.name) +
				     " is up to 15 letters, digits, '-', '_' and '.'");
		return *node.value<std::string>();
	default:
		if (!node.is_number() || *number < 0)
			fail(file, line, std::string(k.name) + " is a number, not negative");
		return text(*number) + k.unit;
	}
}

const key *find(const std::string &section, const std::string &name)
{
	for (const key &k : keys)
		if (section == k.section && name == k.name)
			return &k;
	return nullptr;
}

/* One [section]: appends its keys to the string. */
void read_section(const std::string &file, const std::string &name, const toml::table &t,
		  std::string &spec)
{
	auto source = t["source"].value<std::string>();

	if (!source || source->empty())
		fail(file, t.source().begin.line,
		     "[" + name + "] has no source: where are its numbers from?");
	for (auto &&[k, node] : t) {
		std::string is(k.str());
		if (is != "source" && !find(name, is))
			fail(file, node.source().begin.line,
			     "unknown key '" + is + "' in [" + name + "]; valid: " + valid(name));
	}
	for (const key &k : keys) { /* in the table's order: bw= refers to what stands before it */
		const toml::node *node = name == k.section ? t.get(k.name) : nullptr;
		if (node)
			spec += std::string(",") + k.to + "=" + value(file, k, *node);
		else if (name == k.section && k.needed)
			fail(file, t.source().begin.line, "[" + name + "] lacks " + k.name);
	}
}

struct profile {
	std::string name, about, spec;
};

std::string top_string(const std::string &file, const toml::table &t, const char *name)
{
	auto s = t[name].value<std::string>();

	if (!s || s->empty())
		fail(file, 1, std::string(name) + " = \"...\" is missing; valid: " + valid(""));
	return *s;
}

profile read(const std::string &file)
{
	toml::table t;

	try {
		t = toml::parse_file(file);
	} catch (const toml::parse_error &e) {
		fail(file, e.source().begin.line, std::string(e.description()));
	}
	profile p = {top_string(file, t, "name"), top_string(file, t, "about"), ""};
	if (!is_word(p.name, 31))
		fail(file, t["name"].node()->source().begin.line,
		     "name is up to 31 letters, digits, '-', '_' and '.'");
	for (auto &&[k, node] : t) {
		std::string is(k.str());
		bool known = is == "name" || is == "about";
		for (const char *s : sections)
			known |= is == s && node.is_table();
		if (!known)
			fail(file, node.source().begin.line,
			     "unknown key '" + is + "'; valid: " + valid(""));
	}
	p.spec = "custom,name=" + p.name;
	for (const char *s : sections)
		if (const toml::table *section = t[s].as_table())
			read_section(file, s, *section, p.spec);
		else if (strcmp(s, "page_table") && strcmp(s, "fault") && strcmp(s, "peer"))
			fail(file, 1, std::string("[") + s + "] is missing; valid: " + valid(""));
	const toml::table &link = *t["link"].as_table();
	if (!link.contains("points") &&
	    !(link.contains("latency_ns") && link.contains("bandwidth_GBps")))
		fail(file, link.source().begin.line,
		     "[link] needs points, or latency_ns and bandwidth_GBps");
	return p;
}

/* ---- a profile from measurements ---- */

/* SECTION.KEY,VALUE,SOURCE; link.point,BYTES:NS,SOURCE; name,VALUE and about,VALUE. '#' begins a
 * comment. */
void from_csv(const std::string &file)
{
	std::ifstream in(file);
	std::map<std::string, std::string> body, source;
	std::string line, top, link;
	unsigned n = 0;

	if (!in)
		throw bad(file + ": " + strerror(errno));
	while (std::getline(in, line)) {
		n++;
		if (line.empty() || line[0] == '#')
			continue;
		std::istringstream row(line);
		std::string what, v, from;
		std::getline(row, what, ',');
		std::getline(row, v, ',');
		std::getline(row, from);
		size_t dot = what.find('.');
		std::string section = what.substr(0, dot),
			    name = dot == std::string::npos ? "" : what.substr(dot + 1);
		if (name.empty() && (section == "name" || section == "about")) {
			top += section + " = \"" + v + (from.empty() ? "" : "," + from) + "\"\n";
			continue;
		}
		if (v.empty() || from.empty())
			fail(file, n, "a line is SECTION.KEY,VALUE,SOURCE");
		if (what == "link.point") {
			size_t colon = v.find(':');
			if (colon == std::string::npos)
				fail(file, n, "link.point is BYTES:NANOSECONDS");
			link += (link.empty() ? "" : ", ") +
				("[" + v.substr(0, colon) + ", " + v.substr(colon + 1) + "]");
		} else {
			const key *k = find(section, name);
			if (!k)
				fail(file, n,
				     "unknown quantity '" + what + "'; valid in [" + section +
					     "]: " + valid(section) + " (link.point: BYTES:NS)");
			bool quoted = k->type == kind::bytes;
			body[section] += name + " = " + (quoted ? "\"" + v + "\"" : v) + "\n";
		}
		std::string &all = source[section];
		if (all.find(from) == std::string::npos)
			all += (all.empty() ? "" : "; ") + from;
	}
	std::cout << "# made by gmem-profile --from " << file << "\n" << top;
	if (!link.empty())
		body["link"] = "points = [" + link + "]\n" + body["link"];
	for (const char *s : sections)
		if (!body[s].empty())
			std::cout << "\n[" << s << "]\n"
				  << body[s] << "source = \"" << source[s] << "\"\n";
}

int usage(FILE *out, int status)
{
	fputs("Usage: gmem-profile FILE.toml       prints the device string that a profile stands "
	      "for, as "
	      "GMEM_DEVICE takes it\n"
	      "       gmem-profile --from FILE.csv makes a profile from measurements "
	      "(docs/devices.md) on "
	      "standard output\n"
	      "       gmem-profile --table FILE... prints profiles as rows of a C table\n",
	      out);
	return status;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, 2);
	std::string first = argv[1];
	if (first == "--help")
		return usage(stdout, 0);
	try {
		if (first == "--from" && argc == 3)
			from_csv(argv[2]);
		else if (first == "--table")
			for (int i = 2; i < argc; i++) {
				profile p = read(argv[i]);
				std::cout << "{\"" << p.name << "\", \"" << p.about << "\", \""
					  << p.spec << "\"},\n";
			}
		else if (first[0] != '-' && argc == 2)
			std::cout << read(first).spec << "\n";
		else
			return usage(stderr, 2);
	} catch (const std::exception &e) {
		fprintf(stderr, "gmem-profile: %s\n", e.what());
		return 1;
	}
	return 0;
}
