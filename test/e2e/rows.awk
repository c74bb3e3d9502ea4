# For each row that syscall_rows printed ("NAME: pages away: WHICH", then its lines): is it what the plain run printed?
# usage: awk -v mode=MODE -f rows.awk PLAIN GOT
/^[a-z0-9_]+: pages away: / {
	row = $1
	sub(/:$/, "", row)
	if (FILENAME == ARGV[1] && !(row in plain))
		name[++rows] = row
}
{
	if (FILENAME == ARGV[1])
		plain[row] = plain[row] $0 "\n"
	else
		got[row] = got[row] $0 "\n"
}
END {
	for (i = 1; i <= rows; i++) {
		if (plain[name[i]] == got[name[i]]) {
			print "ok " name[i] ", " mode
		} else {
			print "not ok " name[i] ", " mode
			differ(plain[name[i]], got[name[i]])
			failed = 1
		}
	}
	exit failed
}
# The first lines in which they differ.
function differ(a, b, i, n, x, y, shown) {
	n = split(a, x, "\n")
	split(b, y, "\n")
	for (i = 1; i <= n && shown < 3; i++) {
		if (x[i] != y[i]) {
			print "    plain: " x[i] "\n    here:  " y[i]
			shown++
		}
	}
}
