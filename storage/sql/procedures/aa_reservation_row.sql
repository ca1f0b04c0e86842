-- Runs first of the procedures: a reservation as the servers know it, and the rows in which procedures answer about
-- one. A new field gets its column here, in the tables, and in the procedures that set it; procedures that pass the row
-- on need no change. It comes last in reservation_columns, and in the views that are made of it.
--
-- Servers find columns by name, but those from before schema 0005 by position, so a new column comes last in each row.
-- After a migration everything here is made anew.
--
-- A call that waits for the migration's locks then continues with the body that it has begun, so what that body reads
-- must not change under it. Procedures from before 0006 read the view reservation_row, and those from before 0027
-- reservation_fields, which stay unchanged for them. A later field must give reservation_columns another name again; its
-- migration drops the functions that answer with the old one.

-- Times are microseconds since the Unix epoch.
CREATE OR REPLACE VIEW tranche.reservation_columns AS
SELECT r.reservation_id, r.sku_id, r.user_id, r.quantity, r.state, r.amount_minor, r.currency, r.incarnation_id,
       (date_part('epoch', r.created_at) * 1000000)::bigint AS created_us,
       (date_part('epoch', r.expires_at) * 1000000)::bigint AS expires_us,
       (date_part('epoch', r.finished_at) * 1000000)::bigint AS finished_us,
       r.payment_reference, r.cancel_reason, r.extensions, r.revision, r.rebooked_from, r.order_reference, r.group_id
FROM tranche.reservation r;

-- The same for reservations that retention has archived.
CREATE OR REPLACE VIEW tranche.archived_row AS
SELECT a.reservation_id, a.sku_id, a.user_id, a.quantity, a.state, a.amount_minor, a.currency, a.incarnation_id,
       (date_part('epoch', a.created_at) * 1000000)::bigint AS created_us,
       (date_part('epoch', a.expires_at) * 1000000)::bigint AS expires_us,
       (date_part('epoch', a.finished_at) * 1000000)::bigint AS finished_us,
       a.payment_reference, a.cancel_reason, a.extensions, a.revision, a.rebooked_from, a.order_reference, a.group_id
FROM tranche.reservation_archive a;

-- The other views have no rows: they only define the rows that procedures return.

-- The result of one change of a batch, at position `idx` from 1; the reservation as it is now, or NULLs.
CREATE OR REPLACE VIEW tranche.change_answer AS
SELECT NULL::integer AS idx, NULL::text AS outcome, NULL::bigint AS bound, r.*
FROM tranche.reservation_columns r WHERE false;

-- The result of a late payment.
CREATE OR REPLACE VIEW tranche.late_answer AS
SELECT NULL::text AS outcome, NULL::boolean AS replayed, r.*
FROM tranche.reservation_columns r WHERE false;

-- An entry of a list, with the fields that make its place in the list. Newer columns come last: see the schema's test.
CREATE OR REPLACE VIEW tranche.list_answer AS
SELECT r.reservation_id, r.sku_id, r.user_id, r.quantity, r.state, r.amount_minor, r.currency, r.incarnation_id, r.created_us,
       r.expires_us, r.finished_us, r.payment_reference, r.cancel_reason, r.extensions, r.revision, r.rebooked_from,
       NULL::integer AS ordinal, NULL::boolean AS lapsed, r.order_reference, r.group_id
FROM tranche.reservation_columns r WHERE false;

-- The result of one claim of a batch. The claim's own fields are not repeated: there are thousands of these per second.
CREATE OR REPLACE VIEW tranche.claim_answer AS
SELECT NULL::integer AS idx, NULL::text AS outcome, r.state, r.amount_minor, r.currency, r.incarnation_id, r.created_us,
       r.expires_us, NULL::bigint AS slice_version, r.finished_us, r.payment_reference, r.cancel_reason, r.extensions,
       r.revision, r.rebooked_from
FROM tranche.reservation_columns r WHERE false;

-- The result of one line of a cart.
CREATE OR REPLACE VIEW tranche.cart_answer AS
SELECT NULL::boolean AS committed, c.* FROM tranche.claim_answer c;
