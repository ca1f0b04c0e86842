-- What nodes do for buyers while an operator limits it. Every shard has the table; only home's is used.
--
-- Whoever cannot have a lock within 2 s fails and is run again; of what servers use, it needs none.

SET LOCAL lock_timeout = '2s';

-- One row.
CREATE TABLE tranche.service_mode (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- NORMAL: everything. CHANGES_ONLY: nothing new is reserved. READ_ONLY: nothing that is reserved is changed, either.
  mode       text NOT NULL DEFAULT 'NORMAL' CHECK (mode IN ('NORMAL', 'CHANGES_ONLY', 'READ_ONLY')),
  -- For buyers.
  reason     text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 200),
  -- NULL: never.
  changed_at timestamptz,
  changed_by text
);
INSERT INTO tranche.service_mode DEFAULT VALUES;
