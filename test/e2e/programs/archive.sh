# shellcheck shell=bash
# tar, gzip, xz and git over a tree of generated files.
mkdir tree
for i in $(seq 60); do
	mkdir -p "tree/d$((i % 7))"
	awk -v n="$i" 'BEGIN { for (i = 0; i < 2000; i++) print i * n, "line of file", n }' >"tree/d$((i % 7))/f$i"
done
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf a.tar tree && md5sum <a.tar
gzip -n -9 <a.tar | tee a.tar.gz | md5sum
gzip -dc a.tar.gz | cmp - a.tar && echo same
if command -v xz >/dev/null; then
	xz -T2 --block-size=500K -c a.tar >a.tar.xz && xz -dc a.tar.xz | md5sum
fi
if command -v git >/dev/null; then
	export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
	export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
	git init -q -b main repo && cd repo && cp -r ../tree . && git add . && git commit -qm one
	sed -i 's/line/LINE/' tree/d1/* && git commit -qam two && git rev-parse HEAD
	git diff --stat HEAD~1 | tail -n 1
	git gc -q && git fsck && git log --format=%s
fi
