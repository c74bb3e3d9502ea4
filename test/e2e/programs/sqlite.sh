# shellcheck shell=bash
command -v sqlite3 >/dev/null || { echo "sqlite3 is not installed"; exit 77; }
sqlite3 test.db <<'SQL'
PRAGMA journal_mode = wal;
CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, v TEXT, b BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO t SELECT i, (i * 7919) % 10007, 'value ' || (i * 31 % 1000), zeroblob(i % 200) FROM n;
CREATE INDEX t_k ON t (k, v);
BEGIN;
UPDATE t SET v = upper(v) WHERE k % 3 = 0;
DELETE FROM t WHERE k % 11 = 5;
COMMIT;
SELECT count(*), sum(k), sum(length(b)), min(v), max(v) FROM t;
SELECT k % 10, count(*), group_concat(id % 7) FROM t WHERE id < 500 GROUP BY 1 ORDER BY 1;
SELECT a.id, b.id FROM t a JOIN t b ON a.k = b.k AND a.id < b.id ORDER BY a.id, b.id LIMIT 5;
SELECT length(json_group_array(v)) FROM t WHERE id % 50 = 0;
VACUUM;
PRAGMA integrity_check;
SQL
sqlite3 test.db .dump | md5sum
sqlite3 :memory: 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT sum(i * i % 7), count(DISTINCT i % 1000) FROM n'
