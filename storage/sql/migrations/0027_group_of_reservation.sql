-- A reservation tells the group that it was made for, wherever it is read; the column is there since 0026.
--
-- Nothing is built or rewritten, but all procedures are made anew under these locks: sales pause for some 100 ms. Who cannot have the
-- locks within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';
LOCK TABLE tranche.reservation, tranche.reservation_archive IN ACCESS EXCLUSIVE MODE;

-- Made anew by procedures/, with a parameter or a column more, or with rows of reservation_columns. Servers of before call them
-- as they did: the new parameter has a default. What they have prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.commit_reservations(bigint, boolean, uuid[], text[], text[], integer[], text[]);
DROP FUNCTION IF EXISTS tranche.refuse_claims(uuid[], text[], text[], integer[], text[], text[]);
DROP FUNCTION IF EXISTS tranche.find_reservations(uuid[]);
DROP FUNCTION IF EXISTS tranche.find_replicated(uuid[]);
DROP FUNCTION IF EXISTS tranche.known_reservation(uuid);
DROP FUNCTION IF EXISTS tranche.judge_joins(uuid[], uuid[], text[], text[], uuid[], text[]);
DROP FUNCTION IF EXISTS tranche.expire_groups(integer);
DROP FUNCTION IF EXISTS tranche.due_holds(timestamptz, timestamptz, uuid, integer);
DROP FUNCTION IF EXISTS tranche.confirm_seats(uuid[]);
