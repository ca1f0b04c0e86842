-- Changes of reservations can be made without waiting for locks.
--
-- Made anew by procedures/, with a parameter more, which has a default: servers of before call them as they did, wait as they
-- did, and never see the new answer BUSY. The locks that this takes on the functions are held for milliseconds.

DROP FUNCTION IF EXISTS tranche.confirm_reservations(uuid[], text[], bigint[], text[]);
DROP FUNCTION IF EXISTS tranche.cancel_reservations(uuid[], text[]);
DROP FUNCTION IF EXISTS tranche.extend_reservations(uuid[], integer[], bigint[]);
DROP FUNCTION IF EXISTS tranche.lock_reservations(uuid[], boolean);
