-- Functions that answer with named rows from now on (procedures/aa_reservation_row.sql); procedures/ makes them anew.
-- Their columns stay, in their order: servers of before read them by position.
DROP FUNCTION IF EXISTS tranche.commit_reservations(bigint, boolean, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.commit_cart(bigint, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.confirm_reservations(uuid[], text[], bigint[], text[]);
DROP FUNCTION IF EXISTS tranche.cancel_reservations(uuid[], text[]);
DROP FUNCTION IF EXISTS tranche.extend_reservations(uuid[], integer[], bigint[]);
DROP FUNCTION IF EXISTS tranche.confirm_late(uuid, text, bigint, text);
DROP FUNCTION IF EXISTS tranche.confirm_retired(uuid, text, bigint, text);
DROP FUNCTION IF EXISTS tranche.list_reservations(text, text, text[], text, boolean, text, integer, uuid, integer);
