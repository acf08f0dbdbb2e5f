-- +goose Up
-- The log as before, but as rows beside an index of their numbers: in a tree
-- ordered by key, SQLite reads the whole row, body included, for every
-- comparison on the way to it.
CREATE TABLE log_pages (
  shop           TEXT    NOT NULL,
  first_seq      INTEGER NOT NULL,
  last_seq       INTEGER NOT NULL,
  body           BLOB    NOT NULL              -- text and attributes encrypted under the person's data key
);
INSERT INTO log_pages (shop, first_seq, last_seq, body)
  SELECT shop, first_seq, last_seq, body FROM pages ORDER BY shop, first_seq;
DROP TABLE pages;
ALTER TABLE log_pages RENAME TO pages;
CREATE UNIQUE INDEX pages_by_number ON pages (shop, first_seq, last_seq);

-- +goose Down
CREATE TABLE key_pages (
  shop           TEXT    NOT NULL,
  first_seq      INTEGER NOT NULL,
  last_seq       INTEGER NOT NULL,
  body           BLOB    NOT NULL,
  PRIMARY KEY (shop, first_seq)
) WITHOUT ROWID;
INSERT INTO key_pages (shop, first_seq, last_seq, body)
  SELECT shop, first_seq, last_seq, body FROM pages ORDER BY shop, first_seq;
DROP TABLE pages;
ALTER TABLE key_pages RENAME TO pages;
