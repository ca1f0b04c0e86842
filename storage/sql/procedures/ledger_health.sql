-- Is this database well, and does anything wait here that should not? Its cost is bounded: what is counted is found by
-- an index, and counted up to p_most.
--
-- sync_needed: for how many standbys a commit waits. standbys: how many receivers of the write-ahead log are connected;
-- sync_standbys: how many of them a commit waits for, NULL if the schema's owner may not see that (pg_read_all_stats).
-- connections_limit is of the limit that leaves the fewest, 0 if nothing is limited. Ages are 0 where nothing waits. Of the
-- first 1000 SKUs by id: how many there are, are on sale, are on sale without an unsold unit, and would be on sale if they
-- were not paused. frozen_us and frozen_by are NULL unless the cluster is frozen here. claims_paused is what
-- set_claim_queues_paused has set here.
CREATE OR REPLACE FUNCTION tranche.ledger_health(p_most integer)
RETURNS TABLE (read_only boolean, database_bytes bigint, connections_used integer, connections_limit integer,
               sync_needed integer, standbys bigint, sync_standbys bigint,
               overdue bigint, oldest_overdue_us bigint, refunds bigint, oldest_refund_us bigint, stranded_units bigint,
               skus bigint, open_skus bigint, sold_out_skus bigint, paused_skus bigint,
               frozen boolean, frozen_us bigint, frozen_by text, claims_paused boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  WITH moment AS MATERIALIZED (
    SELECT clock_timestamp() AS now
  ), replication AS (
    SELECT count(*) AS all_of_them, count(*) FILTER (WHERE r.sync_state IN ('sync', 'quorum')) AS synchronous,
           coalesce(bool_and(r.state IS NOT NULL), true) AS visible
    FROM pg_stat_replication r
  ), due AS (
    SELECT count(*) AS holds, min(d.expires_at) AS oldest
    FROM moment m, due_holds(m.now, '-infinity', '00000000-0000-0000-0000-000000000000', p_most) AS d
    WHERE NOT d.paid
  ), refund AS (
    -- Since it was asked for: a group's seat was paid long before.
    SELECT count(*) AS payments, min(x.since) AS oldest
    FROM (SELECT coalesce(p.requested_at, p.received_at) AS since FROM late_payment p
          WHERE p.outcome = 'PAID_UNFULFILLED' AND p.refunded_at IS NULL
          ORDER BY p.received_at LIMIT p_most) AS x
  ), sale AS (
    SELECT count(*) AS skus, count(*) FILTER (WHERE x.on_sale) AS open,
           count(*) FILTER (WHERE x.on_sale AND NOT EXISTS (SELECT FROM stock_slot sl
                                                            WHERE sl.sku_id = x.sku_id AND sl.remaining > 0)) AS sold_out,
           count(*) FILTER (WHERE x.in_window AND x.paused) AS paused
    FROM (SELECT y.*, y.in_window AND NOT y.paused AS on_sale
          FROM (SELECT s.sku_id, s.paused, s.state = 'OPEN' AND s.opens_at <= m.now AND m.now < s.closes_at AS in_window
                FROM moment m, sku s WHERE s.whereabouts = 'HERE' ORDER BY s.sku_id LIMIT 1000) AS y) AS x
  )
  SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
         CASE WHEN has_database_privilege(current_database(), 'CONNECT') THEN pg_database_size(current_database()) ELSE 0 END,
         coalesce(c.used, 0), coalesce(c.bound, 0),
         awaited_standbys(current_setting('synchronous_standby_names')), r.all_of_them,
         CASE WHEN r.visible THEN r.synchronous END,
         d.holds, coalesce((date_part('epoch', m.now - d.oldest) * 1000000)::bigint, 0),
         f.payments, coalesce((date_part('epoch', m.now - f.oldest) * 1000000)::bigint, 0),
         (SELECT coalesce(sum(e.units), 0)::bigint FROM ended_holders(p_most) AS e),
         s.skus, s.open, s.sold_out, s.paused,
         coalesce(z.frozen, false), CASE WHEN z.frozen THEN (extract(epoch FROM z.changed_at) * 1000000)::bigint END,
         CASE WHEN z.frozen THEN z.changed_by END, coalesce(z.claims_paused, false)
  FROM moment m
  CROSS JOIN replication r
  CROSS JOIN due d
  CROSS JOIN refund f
  CROSS JOIN sale s
  LEFT JOIN cluster_setting z ON true
  LEFT JOIN (SELECT l.used, l.bound FROM connection_limits() AS l ORDER BY l.bound - l.used LIMIT 1) AS c ON true
$$;
