# For each row of test/contracts.txt that names PROGRAM: are its lines in the plain output, and the same in what a mode
# printed? A line "...: skipped, WHY" of the plain run skips its row. usage: awk -v program=NAME -v mode=MODE -f contracts.awk contracts.txt PLAIN GOT. Without GOT: only the first.
FILENAME == ARGV[1] {
	if ($0 !~ /^#/ && $2 == program) {
		name[++rows] = $1
		lines[rows] = $0
		sub(/^[^\t]*\t+[^\t]*\t+/, "", lines[rows])
	}
	next
}
{
	for (i = 1; i <= rows; i++)
		if ($0 ~ lines[i])
			out[FILENAME, i] = out[FILENAME, i] $0 "\n"
}
END {
	for (i = 1; i <= rows; i++) {
		want = out[ARGV[2], i]
		if (want == "")
			bad("not ok " name[i] ", " program "_contract has no such line: " lines[i])
		else if (ARGC > 3 && want ~ /: skipped, /)
			printf "skip %s, %s: %s", name[i], mode, substr(want, index(want, ": skipped, ") + 11)
		else if (ARGC > 3 && want == out[ARGV[3], i])
			print "ok " name[i] ", " mode
		else if (ARGC > 3)
			bad("not ok " name[i] ", " mode)
	}
	exit failed
}
function bad(why) {
	print why
	failed = 1
}
