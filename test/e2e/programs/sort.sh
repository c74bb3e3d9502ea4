# shellcheck shell=bash
# sort with threads, with temporary files, merging; join, uniq, comm.
awk 'BEGIN { s = 1; for (i = 0; i < 400000; i++) { s = (s * 16807) % 2147483647; print s, i % 97 } }' >in
sort --parallel=2 -n in | md5sum
sort -S 1M -T . -k2,2n -k1,1nr in | md5sum
sort -u -k2,2 in | wc -l
sort -n in >a
sort -n -k2,2 -s in >b
sort -m -n a <(tail -n 5 b) | sort -nc && echo sorted
cut -d' ' -f2 b | uniq -c | head -n 3
comm -12 <(sort in) <(sort a) | wc -l
shuf --random-source=in -n 10 a | md5sum
