-- What the shop calls the order that a reservation belongs to; NULL for none.
ALTER TABLE tranche.reservation ADD COLUMN order_reference text;
ALTER TABLE tranche.reservation_archive ADD COLUMN order_reference text;

-- Made anew by procedures/, with a parameter or a column more. Servers of before call them as they did: the new parameter has
-- a default.
DROP FUNCTION IF EXISTS tranche.commit_reservations(bigint, boolean, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.commit_cart(bigint, uuid[], text[], text[], integer[]);
DROP FUNCTION IF EXISTS tranche.export_payments(uuid, bigint, bigint, integer);
DROP FUNCTION IF EXISTS tranche.payment_entries(uuid[]);
