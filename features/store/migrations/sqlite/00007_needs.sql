-- +goose Up
-- What a shop needs the fields of persons and of their events for. A field that
-- is not named is kept.
CREATE TABLE needs (
  shop           TEXT    NOT NULL,
  field          TEXT    NOT NULL,             -- user.gender, event.attributes.size
  purposes       INTEGER NOT NULL,             -- bits as in consent; 0: for nothing, never stored
  PRIMARY KEY (shop, field)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE needs;
