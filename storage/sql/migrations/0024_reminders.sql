-- How far the reminders of holds that lapse soon have come (remind_holds).
--
-- Whoever cannot have a lock within 2 s fails and is run again; of what servers use, it needs none.

SET LOCAL lock_timeout = '2s';

-- One row: the hold that was looked at last, by when it lapses and its id. Every hold that lapses later has yet to have its turn.
CREATE TABLE tranche.hold_reminder (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  at_due   timestamptz NOT NULL DEFAULT '-infinity',
  at_id    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
INSERT INTO tranche.hold_reminder DEFAULT VALUES;
