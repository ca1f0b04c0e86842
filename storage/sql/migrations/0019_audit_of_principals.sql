-- What a principal did is found whomever they said that they acted for: "ada" finds "ada as alice@laptop", too.
--
-- Holds up what writes to the log until it ends, as migration 0016 does: it reads the log once for each of two indexes, which take the
-- place of two others. Who has many entries builds them before, as the owner, while everything runs; the second needs schema 16:
--   CREATE INDEX CONCURRENTLY audit_log_principal
--     ON tranche.audit_log (split_part(split_part(actor, ' as ', 1), '@', 1), audit_id);
--   CREATE INDEX CONCURRENTLY audit_log_people_principal
--     ON tranche.audit_log (split_part(split_part(actor, ' as ', 1), '@', 1), audit_id) WHERE NOT automatic;
-- Who cannot have the lock within 2 s fails and is run again.

SET LOCAL lock_timeout = '2s';

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index
             WHERE NOT indisvalid AND indexrelid IN (to_regclass('tranche.audit_log_principal'),
                                                     to_regclass('tranche.audit_log_people_principal'))) THEN
    RAISE EXCEPTION 'an index of tranche.audit_log is not complete'
      USING HINT = 'Wait until CREATE INDEX CONCURRENTLY has ended. If it has failed, drop the index.';
  END IF;
  CREATE INDEX IF NOT EXISTS audit_log_principal
    ON tranche.audit_log (split_part(split_part(actor, ' as ', 1), '@', 1), audit_id);
  CREATE INDEX IF NOT EXISTS audit_log_people_principal
    ON tranche.audit_log (split_part(split_part(actor, ' as ', 1), '@', 1), audit_id) WHERE NOT automatic;
END
$$;
DROP INDEX tranche.audit_log_actor, tranche.audit_log_people_actor;
