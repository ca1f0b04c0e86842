-- From here on servers ask for the schema's version (schema_range), and migrators refuse to go back (schema_migration.sql).
--
-- No lock on a table; a relay waits for a moment.

-- Made anew by procedures/ with a parameter more, which has a default: relays of before call it as they did.
DROP FUNCTION IF EXISTS tranche.claim_outbox(text, integer, bigint);
