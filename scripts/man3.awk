# Makes manual pages of section 3 from the comments of the public headers: one for each function, one for each header.
# usage: awk -v out=FOLDER -v version=X.Y.Z -f scripts/man3.awk include/gmem/*.h
# A function without a comment, or whose comment does not name its parameters, its result and its source, is an error.
# Comments look so ("@" lines may go on in the next line):
#	/**
#	 * NAME - what it does
#	 * @PARAMETER: what it means
#	 *
#	 * Description, in paragraphs.
#	 *
#	 * Return: ...
#	 * Source: ...
#	 */

function fail(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what | "cat >&2"
	failed = 1
}

function roff(text) {
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	sub(/^[.']/, "\\\\\\&&", text)
	return text
}

# A comment's line without its frame: "" where a paragraph ends.
function bare(line) {
	sub(/^ \*+\/?/, "", line)
	sub(/^ /, "", line)
	return line
}

function page_of(header) {
	sub(/\.h$/, "", header)
	return header == "gmem" ? "gmem" : "gmem_" header
}

# ---- what is collected, header by header ----

FNR == 1 {
	header = FILENAME
	sub(/.*\//, "", header)
	headers[++nheaders] = header
	section = ""
	top = 1
	undocumented = 1
}

# The comment at the top.
top && /^\/\*$/ { intop = 1; next }
top && intop && /^ \*\// { intop = top = 0; next }
top && intop {
	line = bare($0)
	if (overview[header] == "" && line ~ /^[a-z]+\.h - /) {
		sub(/^[a-z]+\.h - /, "", line)
		overview[header] = line
	} else {
		overview[header] = overview[header] "\n" line
	}
	next
}

/^\/\* ---- .* ----/ {
	section = $0
	gsub(/^\/\* -+ | -+.*$/, "", section)
	next
}

# Types, with the comment right above them.
/^\/\*/ && !/^\/\*\*/ { above = $0; inabove = !/\*\//; next }
inabove { above = above "\n" $0; inabove = !/\*\//; next }
/^(struct|enum) [a-z_]+ \{/ {
	type = $2
	text = above ? above "\n" $0 : $0
	above = ""
	intype = !/\};/
	if (!intype) { types[header, ++ntypes[header]] = type; body[type] = text }
	next
}
intype {
	text = text "\n" $0
	if (/^};/) { intype = 0; types[header, ++ntypes[header]] = type; body[type] = text }
	next
}
/^#define [A-Z]/ && !/_H$/ { defines[header] = defines[header] (defines[header] ? "\n" : "") $0; above = ""; next }
/^(typedef|struct [a-z_]+;)/ { forwards[header] = forwards[header] (forwards[header] ? "\n" : "") $0; above = ""; next }
/^$/ { above = ""; next }

# A function's comment, then its prototype.
/^\/\*\*$/ { indoc = 1; name = short = params = text = returns = source = at = ""; nparams = 0; next }
indoc && /^ \*\// { indoc = 0; inproto = 1; proto = ""; undocumented = 0; next }
indoc {
	line = bare($0)
	if (name == "") {
		name = short = line
		sub(/ - .*/, "", name)
		sub(/^[^-]*- /, "", short)
		at = "params"
	} else if (line ~ /^@/) {
		param[++nparams] = line
		sub(/^@/, "", param[nparams])
		sub(/:.*/, "", param[nparams])
		sub(/^@[a-z_]+: */, "", line)
		meaning[nparams] = line
		at = "params"
	} else if (line ~ /^Return: /) {
		returns = substr(line, 9)
		at = "returns"
	} else if (line ~ /^Source: /) {
		source = substr(line, 9)
		at = "source"
	} else if (at == "params" && line != "" && nparams) {
		meaning[nparams] = meaning[nparams] "\n" line
	} else if (at == "returns") {
		returns = returns "\n" line
	} else if (at == "source") {
		source = source "\n" line
	} else {
		at = "text"
		text = text (text == "" && line == "" ? "" : "\n" line)
	}
	next
}
inproto {
	proto = proto (proto ? "\n" : "") $0
	if (!/;/)
		next
	inproto = 0
	note_function()
	next
}
/^[a-z].*[a-z_]+\(/ && /^(int|void|uint64_t|const|struct|char|unsigned)/ { fail("a function without a comment: " $0) }

function note_function(	i) {
	if (proto !~ ("[ *]" name "\\("))
		fail(name ": the comment is of another function")
	for (i = 1; i <= nparams; i++)
		if (proto !~ ("[ *]" param[i] "[,)]") && proto !~ ("\\(\\*" param[i] "\\)"))
			fail(name ": no parameter " param[i])
	i = proto ~ /\(void\);/ ? 0 : gsub(/,/, ",", proto) + 1
	if (proto !~ /\(\*/ && i != nparams)
		fail(name ": " i " parameters, " nparams " of them described")
	if (returns == "" || source == "")
		fail(name ": no Return: or no Source:")
	functions[header, ++nfunctions[header]] = name
	F[name, "short"] = short
	F[name, "text"] = text
	F[name, "returns"] = returns
	F[name, "source"] = source
	F[name, "proto"] = proto
	F[name, "section"] = section
	F[name, "header"] = header
	F[name, "nparams"] = nparams
	for (i = 1; i <= nparams; i++) {
		F[name, "param", i] = param[i]
		F[name, "meaning", i] = meaning[i]
	}
}

# ---- pages ----

# Text in paragraphs: lines that begin with white space, and the lines of code between them, as they are.
function paragraphs(file, text,	n, line, i, asis) {
	n = split(text, line, "\n")
	for (i = 1; i <= n; i++) {
		if (asis && line[i] !~ /^[ \t]/) {
			print ".EE" >file
			asis = 0
		} else if (!asis && line[i] ~ /^[ \t]/) {
			print ".EX" >file
			asis = 1
		}
		if (line[i] != "")
			print roff(line[i]) >file
		else if (i > 1 && i < n)
			print ".PP" >file
	}
	if (asis)
		print ".EE" >file
}

function code(file, text) {
	print ".EX" >file
	print_lines(file, text)
	print ".EE" >file
}
function print_lines(file, text,	n, line, i) {
	n = split(text, line, "\n")
	for (i = 1; i <= n; i++)
		print roff(untabbed(line[i])) >file
}
function untabbed(line,	at) {
	while (at = index(line, "\t"))
		line = substr(line, 1, at - 1) substr("        ", (at - 1) % 8 + 1) substr(line, at + 1)
	return line
}

function begin_page(name,	file) {
	file = out "/" name ".3"
	printf ".\\\" Generated by make docs from the comments of the public headers (scripts/man3.awk).\n" >file
	printf ".TH %s 3 \"\" \"gmem %s\" \"GMEM\"\n.SH NAME\n", toupper(name), version >file
	return file
}

# The types that a prototype names, and those that these name.
function types_of(file, text, shown, header,	i, type) {
	for (i = 1; i <= ntypes[header]; i++) {
		type = types[header, i]
		if (shown[type] || text !~ ("(struct|enum) " type "[^a-z_]"))
			continue
		shown[type] = 1
		types_of(file, body[type], shown, header)
		code(file, body[type])
		print ".PP" >file
	}
}

function function_page(name,	file, i, header, shown, see) {
	header = F[name, "header"]
	file = begin_page(name)
	printf "%s \\- %s\n.SH SYNOPSIS\n.nf\n.B #include <gmem/%s>\n.fi\n.PP\n", name, roff(F[name, "short"]), header >file
	split("", shown)
	types_of(file, F[name, "proto"], shown, header)
	print ".nf\n.ft B" >file
	print_lines(file, F[name, "proto"])
	print ".ft R\n.fi" >file
	if (F[name, "nparams"])
		print ".SH PARAMETERS" >file
	for (i = 1; i <= F[name, "nparams"]; i++) {
		printf ".TP\n.I %s\n", F[name, "param", i] >file
		print_lines(file, F[name, "meaning", i])
	}
	if (F[name, "text"] != "") {
		print ".SH DESCRIPTION" >file
		paragraphs(file, F[name, "text"])
	}
	print ".SH RETURN VALUE" >file
	paragraphs(file, F[name, "returns"])
	print ".SH THREADS AND SIGNALS" >file
	printf "As for all functions of\n.BR %s (3),\nunless said otherwise above.\n", page_of(header) >file
	print ".SH SOURCE" >file
	paragraphs(file, F[name, "source"])
	printf ".SH SEE ALSO\n.BR %s (3)", page_of(header) >file
	for (i = 1; i <= nfunctions[header]; i++) {
		see = functions[header, i]
		if (see != name && F[see, "section"] == F[name, "section"])
			printf ",\n.BR %s (3)", see >file
	}
	print "" >file
	close(file)
}

function header_page(header,	file, i, first, rest, name) {
	name = page_of(header)
	file = begin_page(name)
	first = rest = overview[header]
	sub(/\n\n.*/, "", first)
	gsub(/\n/, " ", first)
	sub(/\.$/, "", first)
	sub(/^[^\n]*(\n[^\n]+)*\n*/, "", rest)
	printf "%s \\- %s\n.SH SYNOPSIS\n.nf\n.B #include <gmem/%s>\n.fi\n.PP\n", name, roff(first), header >file
	print "Compile and link with\n.BR \"pkg\\-config \\-\\-cflags \\-\\-libs gmem\" ." >file
	print ".SH DESCRIPTION" >file
	paragraphs(file, rest)
	if (nfunctions[header])
		print ".SH FUNCTIONS" >file
	for (i = 1; i <= nfunctions[header]; i++)
		printf ".TP\n.BR %s (3)\n%s\n", functions[header, i], roff(F[functions[header, i], "short"]) >file
	if (defines[header] forwards[header] != "" || ntypes[header])
		print ".SH TYPES AND CONSTANTS" >file
	if (defines[header] != "")
		code(file, defines[header])
	if (forwards[header] != "")
		code(file, forwards[header])
	for (i = 1; i <= ntypes[header]; i++) {
		print ".PP" >file
		code(file, body[types[header, i]])
	}
	printf ".SH SEE ALSO\n" >file
	for (i = 1; i <= nheaders; i++)
		if (headers[i] != header)
			printf ".BR %s (3),\n", page_of(headers[i]) >file
	print ".BR run\\-with\\-gmem (1),\n.BR gmem (7)" >file
	close(file)
}

END {
	for (h = 1; h <= nheaders; h++) {
		header_page(headers[h])
		for (f = 1; f <= nfunctions[headers[h]]; f++)
			function_page(functions[headers[h], f])
	}
	exit failed
}
