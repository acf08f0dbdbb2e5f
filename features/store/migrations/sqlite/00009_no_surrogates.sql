-- +goose Up
-- No model keeps a row of a person in a release, so that there is none to name.
DROP TABLE surrogates;

-- +goose Down
CREATE TABLE surrogates (
  shop           TEXT    NOT NULL,
  release        TEXT    NOT NULL,
  surrogate      INTEGER NOT NULL,
  user_key       BLOB    NOT NULL,
  PRIMARY KEY (shop, release, surrogate)
) WITHOUT ROWID;
CREATE INDEX surrogates_by_user ON surrogates (shop, user_key);
