-- Offers, groups and members as the servers know them, and the rows in which procedures answer about them. It is named so that it runs
-- before the procedures that return these rows. A new field comes last in its view; in group_member_told it comes before the member, so
-- its migration drops that view, with get_group, which answers with it.
--
-- `outcome`: DONE, or why there is nothing else in the row, as its procedure says.
--
-- Times are microseconds since the Unix epoch. Prices are for each unit, in `currency`, which is the SKU's.
CREATE OR REPLACE VIEW tranche.group_offer_fields AS
SELECT o.sku_id, o.offer_id, o.seats, o.price_minor, s.currency, o.open_seconds, o.pay_seconds, o.on_timeout, o.min_members,
       (extract(epoch FROM o.created_at) * 1000000)::bigint AS created_us,
       (extract(epoch FROM o.closed_at) * 1000000)::bigint AS closed_us
FROM tranche.group_offer o LEFT JOIN tranche.sku s ON s.sku_id = o.sku_id;

CREATE OR REPLACE VIEW tranche.group_fields AS
SELECT g.group_id, g.sku_id, g.offer_id, g.seats, g.seats_taken, o.price_minor, s.currency, g.state, g.partial, g.opened_by, g.reason,
       (extract(epoch FROM g.created_at) * 1000000)::bigint AS created_us,
       (extract(epoch FROM g.deadline_at) * 1000000)::bigint AS deadline_us,
       (extract(epoch FROM g.finished_at) * 1000000)::bigint AS finished_us, g.revision
FROM tranche.group_buy g
LEFT JOIN tranche.group_offer o ON o.sku_id = g.sku_id AND o.offer_id = g.offer_id
LEFT JOIN tranche.sku s ON s.sku_id = g.sku_id;

-- The other views have no rows: they only define the rows that procedures return.
CREATE OR REPLACE VIEW tranche.group_offer_told AS
SELECT NULL::text AS outcome, o.* FROM tranche.group_offer_fields o WHERE false;

CREATE OR REPLACE VIEW tranche.group_told AS
SELECT NULL::text AS outcome, g.* FROM tranche.group_fields g WHERE false;

-- The group, or one of its members.
CREATE OR REPLACE VIEW tranche.group_member_told AS
SELECT NULL::text AS outcome, g.*, NULL::text AS user_id, NULL::uuid AS reservation_id, NULL::integer AS quantity,
       NULL::text AS reservation_state, NULL::bigint AS joined_us, NULL::integer AS seat_no, NULL::bigint AS paid_us,
       NULL::text AS payment_reference
FROM tranche.group_fields g WHERE false;
