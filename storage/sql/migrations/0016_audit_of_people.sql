-- The audit log says why somebody did something, tells what people do from what processes do by themselves, can be searched by
-- actor, action and time, and is retired by the workers.
--
-- Holds up what writes to the log until it ends: changes by operators, and units that come back from nodes that have ended. Where
-- migration 0015 is applied by the same run, its lock is held meanwhile, so sales pause, too. It reads the log once for each of four
-- indexes, and rewrites its entries of processes: some seconds for a million rows. Who has many builds three of the indexes before, as
-- the owner, while everything runs:
--   CREATE INDEX CONCURRENTLY audit_log_actor ON tranche.audit_log (split_part(actor, '@', 1), audit_id);
--   CREATE INDEX CONCURRENTLY audit_log_action ON tranche.audit_log (action, audit_id);
--   CREATE INDEX CONCURRENTLY audit_log_at ON tranche.audit_log (at);
-- Who cannot have the lock within 2 s fails and is run again.

SET LOCAL lock_timeout = '2s';

ALTER TABLE tranche.audit_log
  -- In the actor's words. NULL: they gave none.
  ADD COLUMN reason    text,
  -- No person has asked for it.
  ADD COLUMN automatic boolean NOT NULL DEFAULT false,
  -- NOT VALID only spares looking at what is there: none has a reason.
  ADD CONSTRAINT audit_log_reason CHECK (char_length(reason) BETWEEN 1 AND 200) NOT VALID;

UPDATE tranche.audit_log SET automatic = true
WHERE actor IN ('balancer', 'reclaim', 'tranche-worker') OR action = 'register_incarnation';

-- A procedure's p_actor is a name, or lines with name, reason and "automatic", which it passes on as it is. Neither has control
-- characters of its own.
CREATE FUNCTION tranche.audit_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.automatic := NEW.automatic OR split_part(NEW.actor, E'\n', 3) = 'automatic';
  NEW.reason := coalesce(NEW.reason, nullif(split_part(NEW.actor, E'\n', 2), ''));
  NEW.actor := split_part(NEW.actor, E'\n', 1);
  RETURN NEW;
END
$$;
CREATE TRIGGER audit_entry BEFORE INSERT ON tranche.audit_log FOR EACH ROW
  WHEN (strpos(NEW.actor, E'\n') > 0)
  EXECUTE FUNCTION tranche.audit_entry();

CREATE INDEX audit_log_people ON tranche.audit_log (audit_id) WHERE NOT automatic;

DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index
             WHERE NOT indisvalid AND indexrelid IN (to_regclass('tranche.audit_log_actor'), to_regclass('tranche.audit_log_action'),
                                                     to_regclass('tranche.audit_log_at'))) THEN
    RAISE EXCEPTION 'an index of tranche.audit_log is not complete'
      USING HINT = 'Wait until CREATE INDEX CONCURRENTLY has ended. If it has failed, drop the index.';
  END IF;
  -- By what is before the @: a person may call from several machines.
  CREATE INDEX IF NOT EXISTS audit_log_actor ON tranche.audit_log (split_part(actor, '@', 1), audit_id);
  CREATE INDEX IF NOT EXISTS audit_log_action ON tranche.audit_log (action, audit_id);
  -- For ranges of time, and for the retirement of what is old.
  CREATE INDEX IF NOT EXISTS audit_log_at ON tranche.audit_log (at);
END
$$;

-- Made anew by procedures/, with parameters and columns more, which come last. Servers of before pass and read the first ones;
-- what they have prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.list_audit(text, bigint, integer);
