-- +goose Up
-- Who looks like an attack, why, and what was decided. The events between the
-- two numbers are kept out of training and of all that is counted of the many
-- while the state is quarantined; the log itself stays as it is.
CREATE TABLE risk_flags (
  shop           TEXT    NOT NULL,
  id             TEXT    NOT NULL,             -- kind and pseudonym
  user_key       BLOB    NOT NULL,
  kind           TEXT    NOT NULL,
  score          REAL    NOT NULL,
  reasons        TEXT    NOT NULL,             -- JSON
  from_seq       INTEGER NOT NULL,
  to_seq         INTEGER NOT NULL,             -- 0: no end
  parts          TEXT    NOT NULL,             -- JSON: stretches within, of first and last number; null: all
  first          INTEGER NOT NULL,             -- times of the events that spoke for it
  last           INTEGER NOT NULL,
  events         INTEGER NOT NULL,
  found          INTEGER NOT NULL,
  state          TEXT    NOT NULL,             -- flagged, quarantined, released
  decided        INTEGER NOT NULL DEFAULT 0,   -- when; 0: by nobody yet
  actor          TEXT    NOT NULL DEFAULT '',  -- who decided
  note           TEXT    NOT NULL DEFAULT '',
  PRIMARY KEY (shop, id)
) WITHOUT ROWID;
CREATE INDEX risk_flags_by_user ON risk_flags (shop, user_key);

-- What who said nothing counts as having agreed to, by market.
CREATE TABLE market_consents (
  shop           TEXT    NOT NULL,
  market         TEXT    NOT NULL,
  consent        INTEGER NOT NULL,
  PRIMARY KEY (shop, market)
) WITHOUT ROWID;

-- Attributes of persons that a shop holds to be sensitive, and what for they may
-- be used all the same.
CREATE TABLE sensitive (
  shop           TEXT    NOT NULL,
  attribute      TEXT    NOT NULL,
  purpose        TEXT    NOT NULL,             -- '': for nothing
  declared       INTEGER NOT NULL,
  PRIMARY KEY (shop, attribute)
) WITHOUT ROWID;

-- +goose Down
DROP TABLE sensitive;
DROP TABLE market_consents;
DROP TABLE risk_flags;
