-- +goose Up
-- Keys of programs that call the server. A key of several shops is a row for
-- each; the shop '*' is every shop. What a key is made of is never stored.
CREATE TABLE api_keys (
  shop           TEXT    NOT NULL,
  id             TEXT    NOT NULL,             -- public part of the key
  hash           BLOB    NOT NULL,             -- SHA-256 of the secret part
  roles          TEXT    NOT NULL,             -- joined by ','
  name           TEXT    NOT NULL,             -- for people
  rate           REAL    NOT NULL DEFAULT 0,   -- calls a second; 0: as the server is told
  max_bytes      INTEGER NOT NULL DEFAULT 0,   -- of a request; 0: as the server is told
  created        INTEGER NOT NULL,
  expires        INTEGER NOT NULL DEFAULT 0,   -- when; 0: never
  revoked        INTEGER NOT NULL DEFAULT 0,   -- when; 0: not
  PRIMARY KEY (shop, id)
) WITHOUT ROWID;
CREATE INDEX api_keys_by_id ON api_keys (id);

-- +goose Down
DROP TABLE api_keys;
