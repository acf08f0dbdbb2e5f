-- +goose Up
-- Lists of people that partners brought.
CREATE TABLE audiences (
  shop           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  source         TEXT    NOT NULL,             -- who brought it last
  created        INTEGER NOT NULL,
  updated        INTEGER NOT NULL,
  PRIMARY KEY (shop, name)
) WITHOUT ROWID;

-- Who is on them, by pseudonym alone: of a user, a device or a hashed e-mail,
-- whether a shopper goes by it yet or not.
CREATE TABLE audience_members (
  shop           TEXT    NOT NULL,
  user_key       BLOB    NOT NULL,
  audience       TEXT    NOT NULL,
  source         TEXT    NOT NULL,
  since          INTEGER NOT NULL,             -- when they were first on it
  expires        INTEGER NOT NULL,             -- 0: never
  PRIMARY KEY (shop, user_key, audience)
) WITHOUT ROWID;
CREATE INDEX audience_members_by_audience ON audience_members (shop, audience);

-- +goose Down
DROP TABLE audience_members;
DROP TABLE audiences;
