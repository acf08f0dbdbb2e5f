-- +goose Up
-- Segments of shoppers, in the order they are decided in.
CREATE TABLE groups (
  shop           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  place          INTEGER NOT NULL,             -- order within the shop
  title          TEXT    NOT NULL,
  description    TEXT    NOT NULL,
  kind           TEXT    NOT NULL,             -- rule, classifier, cluster
  body           TEXT    NOT NULL,             -- by kind: the CEL text, the model as JSON, the cluster's number
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  PRIMARY KEY (shop, name)
) WITHOUT ROWID;

-- What segments are decided by beside their own row, and how large they were.
CREATE TABLE group_facts (
  shop           TEXT    NOT NULL,
  kind           TEXT    NOT NULL,             -- clusters, grid, census
  time           INTEGER NOT NULL,             -- of a census; 0 otherwise
  body           TEXT    NOT NULL,             -- JSON
  PRIMARY KEY (shop, kind, time)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE group_facts;
DROP TABLE groups;
