-- Those of the SKUs that are on this shard, with their slices: parallel arrays, the pool (holder 0) first, then ascending by holder.
-- One statement, one snapshot.
CREATE OR REPLACE FUNCTION tranche.read_quotas(p_sku_ids text[])
RETURNS TABLE (sku_id text, title text, price_minor bigint, currency text, stock bigint, per_user_limit integer,
               hold_seconds integer, opens_us bigint, closes_us bigint, closed boolean, slots_per_slice integer,
               unsold bigint, quota_version bigint, holds_may_lapse boolean, presplit boolean, quota_frozen boolean,
               holders bigint[], allotted bigint[], remaining bigint[], versions bigint[],
               max_extensions integer, max_hold_seconds integer, paused boolean, pause_reason text, terms_version bigint,
               claim_path text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- Never scan all of `reservation`, whatever old statistics say.
SET enable_seqscan = off
AS $$
  SELECT s.sku_id, s.title, s.price_minor, s.currency, s.stock, s.per_user_limit, s.hold_seconds, s.opens_us, s.closes_us,
         s.closed, s.slots_per_slice, s.unsold, s.quota_version, s.holds_may_lapse, s.presplit, s.quota_frozen,
         q.holders, q.allotted, q.remaining, q.versions, s.max_extensions, s.max_hold_seconds,
         s.paused, s.pause_reason, s.terms_version, s.claim_path
  FROM sku_state s
  CROSS JOIN LATERAL (
    SELECT array_agg(h.holder ORDER BY h.holder) AS holders, array_agg(h.allotted ORDER BY h.holder) AS allotted,
           array_agg(h.remaining ORDER BY h.holder) AS remaining, array_agg(h.version ORDER BY h.holder) AS versions
    FROM (SELECT coalesce(sl.holder, 0) AS holder, sum(sl.allotted)::bigint AS allotted,
                 sum(sl.remaining)::bigint AS remaining, max(sl.version) AS version
          FROM stock_slot sl WHERE sl.sku_id = s.sku_id GROUP BY sl.holder) AS h) AS q
  WHERE s.sku_id = ANY (p_sku_ids)
  ORDER BY s.sku_id
$$;
