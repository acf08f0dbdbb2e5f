-- +goose Up
-- The newest links of sessions, as they came with events: a row for each commit.
-- They go to identities by the thousand, since a row there costs a page of the
-- table and one of its index.
CREATE TABLE fresh_links (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  shop           TEXT    NOT NULL,
  seq            INTEGER NOT NULL,             -- as in identities
  time           INTEGER NOT NULL,
  body           BLOB    NOT NULL              -- alias_key and user_key, 16 bytes each, over and over
);
CREATE INDEX fresh_links_by_shop ON fresh_links (shop);

-- +goose Down
INSERT INTO identities (shop, alias_key, user_key, seq, time)
  WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 32768)
  SELECT shop, substr(body, 32 * i + 1, 16), substr(body, 32 * i + 17, 16), seq, time FROM fresh_links, n WHERE 32 * i < length(body)
  ON CONFLICT (shop, alias_key, seq) DO UPDATE SET user_key = excluded.user_key, time = excluded.time, undone = 0;
DROP TABLE fresh_links;
