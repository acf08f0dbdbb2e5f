-- +goose Up
-- What was answered, as it was recorded together: a row for each answer takes a
-- place in a table and in two indexes, all of which cost more than the answer.
-- served has what was recorded before.
CREATE TABLE answers (
  id             INTEGER PRIMARY KEY,
  shop           TEXT    NOT NULL,
  first          INTEGER NOT NULL,             -- times of the oldest and the newest
  last           INTEGER NOT NULL,
  name           INTEGER NOT NULL,             -- tells records that are told again
  records        INTEGER NOT NULL,
  subject        BLOB    NOT NULL,             -- user_key and session_key, 16 bytes each, of each record
  body           BLOB    NOT NULL              -- all else
);
CREATE UNIQUE INDEX answers_by_first ON answers (shop, first, name);
CREATE INDEX answers_by_last ON answers (shop, last);

-- +goose Down
DROP TABLE answers;
