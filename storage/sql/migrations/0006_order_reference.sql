-- What the shop calls the order that a reservation belongs to; NULL for none.
--
-- Nothing is built, but all procedures are made anew under these locks: sales pause for some 100 ms. Who cannot have the locks
-- within 2 s fails and is run again: all sales would wait behind it.

SET LOCAL lock_timeout = '2s';
LOCK TABLE tranche.reservation, tranche.reservation_archive IN ACCESS EXCLUSIVE MODE;

ALTER TABLE tranche.reservation ADD COLUMN order_reference text;
ALTER TABLE tranche.reservation_archive ADD COLUMN order_reference text;

-- Made anew by procedures/, with a parameter or a column more, or with rows of reservation_fields. Servers of before call them
-- as they did: the new parameter has a default. What they have prepared is refused once with 0A000, which they repeat.
DROP FUNCTION IF EXISTS tranche.commit_reservations(bigint, boolean, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.commit_cart(bigint, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.find_reservations(uuid[]);
DROP FUNCTION IF EXISTS tranche.known_reservation(uuid);
DROP FUNCTION IF EXISTS tranche.export_payments(uuid, bigint, bigint, integer);
DROP FUNCTION IF EXISTS tranche.payment_entries(uuid[]);
