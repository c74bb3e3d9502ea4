# shellcheck shell=bash
# The compiler on some thousand lines, at two levels; object files bit for bit, and what the program prints.
command -v gcc >/dev/null || { echo "gcc is not installed"; exit 77; }
awk 'BEGIN {
	print "#include <stdio.h>\n#include <string.h>"
	for (i = 0; i < 700; i++)
		printf "static unsigned f%d(unsigned x, char *s)\n{\n\tunsigned a[%d];\n\tfor (int i = 0; i < %d; i++)\n\t\t" \
			"a[i] = x * %du + i;\n\tswitch (x %% 3) {\n\tcase 0: return a[x %% %d] ^ %d;\n\tcase 1: return (unsigned)strlen(s) + x;\n\t" \
			"default: return %s;\n\t}\n}\n", i, i % 13 + 3, i % 13 + 3, i * 31 + 7, i % 13 + 3, i, i ? "f" i - 1 "(x / 3, s)" : "x"
	print "int main(void)\n{\n\tunsigned s = 0;\n\tfor (unsigned i = 0; i < 100000; i++)\n\t\ts += f699(i, \"text\");\n\tprintf(\"%u\\n\", s);\n}"
}' >big.c
wc -l <big.c
for level in -O0 -O2; do
	gcc $level -g -c -frandom-seed=1 big.c -o big.o && md5sum <big.o
	gcc big.o -o big && ./big
done
gcc -O2 -flto -frandom-seed=1 big.c -o big && ./big
echo 'int main(void) { return undeclared; }' | gcc -x c - -o none
echo "status $?"
