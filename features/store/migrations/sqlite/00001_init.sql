-- +goose Up
-- Every table has the shop in its key. Times are Unix milliseconds, UTC.
-- A user key is 16 bytes: a keyed hash of the id the shop uses.

CREATE TABLE shops (
  shop           TEXT    NOT NULL PRIMARY KEY,
  next_seq       INTEGER NOT NULL DEFAULT 1,   -- the next event's place in the log
  next_change    INTEGER NOT NULL DEFAULT 1,   -- the next catalogue or user change
  secret         BLOB    NOT NULL,             -- of the pseudonyms, wrapped by the keeper
  consent        INTEGER NOT NULL DEFAULT 7,   -- purposes of a shopper who said nothing
  currency       TEXT    NOT NULL DEFAULT '',
  created        INTEGER NOT NULL
) WITHOUT ROWID;

-- The log of what happened, in the order it was acknowledged: a row is what was
-- committed together, packed (page.go says how). So a commit touches the end of
-- one tree whatever the number of events, and events in the hundred thousands a
-- second stay durable. Rows leave for Parquet when a range is sealed. Ranges
-- follow one another without a gap; an erased event leaves its range as it was.
CREATE TABLE pages (
  shop           TEXT    NOT NULL,
  first_seq      INTEGER NOT NULL,
  last_seq       INTEGER NOT NULL,
  body           BLOB    NOT NULL,             -- text and attributes encrypted under the person's data key
  PRIMARY KEY (shop, first_seq)
) WITHOUT ROWID;

-- Ranges of the log that are in Parquet: complete, never overlapping.
CREATE TABLE segments (
  shop           TEXT    NOT NULL,
  first_seq      INTEGER NOT NULL,
  last_seq       INTEGER NOT NULL,
  file           TEXT    NOT NULL,             -- relative to the data directory
  rows           INTEGER NOT NULL,
  bytes          INTEGER NOT NULL,
  sha256         TEXT    NOT NULL,
  newest         INTEGER NOT NULL,             -- when its newest event was received
  sealed         INTEGER NOT NULL,
  PRIMARY KEY (shop, first_seq)
) WITHOUT ROWID;

-- What was refused, with the reason, so that it can be mended and replayed.
CREATE TABLE dead_letters (
  shop           TEXT    NOT NULL,
  id             INTEGER NOT NULL,
  letter_key     TEXT    NOT NULL,             -- the sender's own id; '': none
  received       INTEGER NOT NULL,
  source         TEXT    NOT NULL,             -- file and line, or the RPC
  rule           TEXT    NOT NULL,             -- the rule that refused it
  reason         TEXT    NOT NULL,
  user_key       BLOB    NOT NULL,             -- so that erasure finds it
  payload        BLOB    NOT NULL,             -- as it came, encrypted under the person's or the shop's key
  replayed       INTEGER NOT NULL DEFAULT 0,   -- when; 0: not yet
  PRIMARY KEY (shop, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX dead_letters_by_key ON dead_letters (shop, letter_key) WHERE letter_key <> '';

CREATE TABLE items (
  shop           TEXT    NOT NULL,
  id             TEXT    NOT NULL,
  body           BLOB    NOT NULL,             -- features.Item as JSON
  change         INTEGER NOT NULL,             -- place in the shop's changes
  deleted        INTEGER NOT NULL DEFAULT 0,   -- when; 0: not
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  PRIMARY KEY (shop, id)
) WITHOUT ROWID;
CREATE INDEX items_by_change ON items (shop, change);

-- Prices and stock as they were.
CREATE TABLE item_history (
  shop           TEXT    NOT NULL,
  id             TEXT    NOT NULL,
  market         TEXT    NOT NULL,
  time           INTEGER NOT NULL,
  field          TEXT    NOT NULL,             -- price, list_price, stock
  micros         INTEGER NOT NULL,             -- of the price, or the pieces
  currency       TEXT    NOT NULL,
  PRIMARY KEY (shop, id, market, field, time)
) WITHOUT ROWID;

CREATE TABLE users (
  shop           TEXT    NOT NULL,
  user_key       BLOB    NOT NULL,
  consent        INTEGER,                      -- NULL: said nothing
  market         TEXT    NOT NULL,
  languages      TEXT    NOT NULL,             -- joined by ','
  external_id    BLOB    NOT NULL,             -- the shop's id, encrypted under the person's data key
  personal       BLOB    NOT NULL,             -- JSON of the personal fields, encrypted likewise
  change         INTEGER NOT NULL,
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  PRIMARY KEY (shop, user_key)
) WITHOUT ROWID;
CREATE INDEX users_by_change ON users (shop, change);

-- One data key a person, wrapped by the keeper: destroying it destroys what it
-- encrypted, wherever copies of that are.
CREATE TABLE data_keys (
  shop           TEXT    NOT NULL,
  user_key       BLOB    NOT NULL,             -- zero-length: the shop's own
  wrapped        BLOB    NOT NULL,             -- zero-length: destroyed
  created        INTEGER NOT NULL,
  destroyed      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (shop, user_key)
) WITHOUT ROWID;

-- Which session or user turned out to be which user.
CREATE TABLE identities (
  shop           TEXT    NOT NULL,
  alias_key      BLOB    NOT NULL,
  user_key       BLOB    NOT NULL,
  seq            INTEGER NOT NULL,             -- the log's end when it was learnt
  time           INTEGER NOT NULL,
  undone         INTEGER NOT NULL DEFAULT 0,   -- when; 0: holds
  PRIMARY KEY (shop, alias_key, seq)
) WITHOUT ROWID;
CREATE INDEX identities_by_user ON identities (shop, user_key);

-- The random row key of a person in a release that needs one.
CREATE TABLE surrogates (
  shop           TEXT    NOT NULL,
  release        TEXT    NOT NULL,
  surrogate      INTEGER NOT NULL,
  user_key       BLOB    NOT NULL,
  PRIMARY KEY (shop, release, surrogate)
) WITHOUT ROWID;
CREATE INDEX surrogates_by_user ON surrogates (shop, user_key);

-- What was answered: one packed record an answer.
CREATE TABLE served (
  shop           TEXT    NOT NULL,
  recommendation TEXT    NOT NULL,
  time           INTEGER NOT NULL,
  user_key       BLOB    NOT NULL,
  session_key    BLOB    NOT NULL,
  surface        TEXT    NOT NULL,
  market         TEXT    NOT NULL,
  release        TEXT    NOT NULL,
  record         BLOB    NOT NULL,             -- items, positions, sources, propensities
  PRIMARY KEY (shop, recommendation)
) WITHOUT ROWID;
CREATE INDEX served_by_time ON served (shop, time);
CREATE INDEX served_by_user ON served (shop, user_key) WHERE length(user_key) > 0;

-- Who was erased: a restored backup must not bring them back.
CREATE TABLE tombstones (
  shop           TEXT    NOT NULL,
  user_key       BLOB    NOT NULL,
  time           INTEGER NOT NULL,
  certificate    TEXT    NOT NULL,
  PRIMARY KEY (shop, user_key)
) WITHOUT ROWID;

-- What was done by whom; each row's hash covers the one before it.
CREATE TABLE audit (
  shop           TEXT    NOT NULL,
  id             INTEGER NOT NULL,
  time           INTEGER NOT NULL,
  actor          TEXT    NOT NULL,
  method         TEXT    NOT NULL,
  subject        TEXT    NOT NULL,
  detail         TEXT    NOT NULL,
  hash           BLOB    NOT NULL,
  PRIMARY KEY (shop, id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE audit;
DROP TABLE tombstones;
DROP TABLE served;
DROP TABLE surrogates;
DROP TABLE identities;
DROP TABLE data_keys;
DROP TABLE users;
DROP TABLE item_history;
DROP TABLE items;
DROP TABLE dead_letters;
DROP TABLE segments;
DROP TABLE pages;
DROP TABLE shops;
