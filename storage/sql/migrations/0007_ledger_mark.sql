-- Where the ledger stands in its own history. A ledger that was restored to an older state has a lower count than the
-- coordination tree remembers (procedures/mark_ledger.sql).
CREATE TABLE tranche.ledger_mark (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  count    bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO tranche.ledger_mark DEFAULT VALUES;
