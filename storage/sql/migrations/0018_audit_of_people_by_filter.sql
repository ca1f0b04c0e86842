-- What one person did, and what people did of one kind, is found without looking at what processes did, nor at all that people did.
--
-- Holds up what writes to the log until it ends, as migration 0016 does: it reads the log once for each of two indexes. Who has many
-- entries builds them before, as the owner, while everything runs:
--   CREATE INDEX CONCURRENTLY audit_log_people_actor ON tranche.audit_log (split_part(actor, '@', 1), audit_id) WHERE NOT automatic;
--   CREATE INDEX CONCURRENTLY audit_log_people_action ON tranche.audit_log (action, audit_id) WHERE NOT automatic;
-- Who cannot have the lock within 2 s fails and is run again.

SET LOCAL lock_timeout = '2s';

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index
             WHERE NOT indisvalid AND indexrelid IN (to_regclass('tranche.audit_log_people_actor'),
                                                     to_regclass('tranche.audit_log_people_action'))) THEN
    RAISE EXCEPTION 'an index of tranche.audit_log is not complete'
      USING HINT = 'Wait until CREATE INDEX CONCURRENTLY has ended. If it has failed, drop the index.';
  END IF;
  CREATE INDEX IF NOT EXISTS audit_log_people_actor ON tranche.audit_log (split_part(actor, '@', 1), audit_id) WHERE NOT automatic;
  CREATE INDEX IF NOT EXISTS audit_log_people_action ON tranche.audit_log (action, audit_id) WHERE NOT automatic;
END
$$;

-- Made anew by procedures/, with parameters more, which come last and have defaults. Servers of before pass the first ones.
DROP FUNCTION IF EXISTS tranche.set_draining(bigint, boolean, text);
DROP FUNCTION IF EXISTS tranche.retire_audit(bigint, integer);
