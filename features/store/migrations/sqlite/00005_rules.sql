-- +goose Up
-- Rule sets that steer what is answered. The rules stand in the body in the
-- words of whoever reads them; revision numbers tell changes apart and are
-- never given twice in a shop, not even after a set was deleted.
CREATE TABLE rule_sets (
  shop           TEXT    NOT NULL,
  id             TEXT    NOT NULL,
  surface        TEXT    NOT NULL,             -- '': every surface
  starts         INTEGER NOT NULL,             -- 0: always
  ends           INTEGER NOT NULL,             -- 0: never
  body           BLOB    NOT NULL,             -- JSON
  revision       INTEGER NOT NULL,             -- place in the shop's changes
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  PRIMARY KEY (shop, id)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE rule_sets;
