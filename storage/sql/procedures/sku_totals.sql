-- Totals that are equal for two copies of a SKU's reservations and groups if neither misses a row or a change. Those of groups come only
-- for a SKU that has offers: without, they are as before there were groups.
CREATE OR REPLACE FUNCTION tranche.sku_totals(p_sku_id text)
RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT concat_ws(' ', live.reservations, live.units, live.changes, lapsed.reservations, lapsed.units, lapsed.changes,
                   CASE WHEN offered.offers > 0
                        THEN concat_ws(' ', offered.offers, offered.closed, formed.groups, formed.changes, joined.members, joined.seats,
                                       joined.times) END)
  FROM (SELECT count(*) AS reservations, coalesce(sum(quantity), 0) AS units,
               coalesce(sum(revision + extensions + CASE state WHEN 'CONFIRMED' THEN 1000 ELSE 0 END), 0) AS changes
        FROM reservation WHERE sku_id = p_sku_id AND state IN ('PENDING', 'CONFIRMED')) AS live,
       (SELECT count(*) AS reservations, coalesce(sum(quantity), 0) AS units,
               coalesce(sum(revision + CASE state WHEN 'EXPIRED' THEN 1000 ELSE 0 END), 0) AS changes
        FROM reservation WHERE sku_id = p_sku_id AND state IN ('CANCELLED', 'EXPIRED')) AS lapsed,
       (SELECT count(*) AS offers, count(closed_at) AS closed FROM group_offer WHERE sku_id = p_sku_id) AS offered,
       (SELECT count(*) AS groups, coalesce(sum(revision + CASE WHEN unsettled THEN 1000 ELSE 0 END), 0) AS changes
        FROM group_buy WHERE sku_id = p_sku_id) AS formed,
       -- Whoever joins again, and who takes or leaves a seat, has another time.
       (SELECT count(*) AS members, coalesce(sum(m.seat_no), 0) AS seats,
               coalesce(sum(extract(epoch FROM m.joined_at) + coalesce(extract(epoch FROM m.paid_at), 0)), 0) AS times
        FROM group_buy g JOIN group_member m ON m.group_id = g.group_id WHERE g.sku_id = p_sku_id) AS joined
$$;
