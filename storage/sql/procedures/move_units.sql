-- Moves unsold units of one SKU between the pool and slices, in one transaction, always through the pool: first every
-- negative delta is withdrawn (at most what its slice has left), then the positive ones are deposited in the order
-- given (at most what the pool then has). Deposits to incarnations that are not live stay in the pool.
--
-- Locks in the order incarnations, SKU, slots; the SKU's lock serialises the moves of one SKU, so that quota_version
-- orders them. Sales go on meanwhile, except for the moment in which their slot is locked.
--
-- p_actor is written into the audit log; '' for a move that nobody has asked for, which is not audited.
--
-- Returns false if p_expected_version is given and is not the SKU's, or if the SKU is on its way to another shard, so
-- that nothing of it may change; NULL if there is no such SKU.
CREATE OR REPLACE FUNCTION tranche.move_units(
  p_sku_id text, p_holders bigint[], p_deltas bigint[], p_expected_version bigint, p_actor text
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_sku     sku%ROWTYPE;
  v_version bigint;
  v_pool    bigint;
  v_before  jsonb;
  v_moved   bigint;
BEGIN
  IF (SELECT count(DISTINCT h) FROM unnest(p_holders) AS h WHERE h > 0) <> cardinality(p_holders) THEN
    RAISE EXCEPTION 'holders must be distinct incarnations' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Keeps reclaim_incarnation away from the receivers.
  PERFORM FROM incarnation i
  WHERE i.incarnation_id = ANY (p_holders) AND i.reclaimed_at IS NULL
  ORDER BY i.incarnation_id FOR SHARE;

  SELECT * INTO v_sku FROM sku WHERE sku_id = p_sku_id FOR UPDATE;
  IF NOT FOUND OR v_sku.whereabouts IN ('GONE', 'ARRIVING') THEN
    RETURN NULL;
  END IF;
  IF v_sku.whereabouts = 'LEAVING' OR p_expected_version <> v_sku.quota_version THEN
    RETURN false;
  END IF;
  v_version := v_sku.quota_version + 1;
  PERFORM FROM stock_slot
  WHERE sku_id = p_sku_id AND (slot_no = 0 OR holder = ANY (p_holders)) ORDER BY slot_no FOR UPDATE;
  IF p_actor <> '' THEN
    SELECT jsonb_object_agg(coalesce(q.holder, 0), q.remaining) INTO v_before
    FROM (SELECT holder, sum(remaining) AS remaining FROM stock_slot
          WHERE sku_id = p_sku_id AND (slot_no = 0 OR holder = ANY (p_holders)) GROUP BY holder) AS q;
  END IF;

  -- Withdraw, from each holder's fullest slots first.
  WITH ranked AS (
    SELECT sl.slot_no, sl.remaining, -d.units AS wanted,
           sum(sl.remaining) OVER (PARTITION BY sl.holder ORDER BY sl.remaining DESC, sl.slot_no)::bigint - sl.remaining
             AS before
    FROM unnest(p_holders, p_deltas) AS d (holder, units)
    JOIN stock_slot sl ON sl.sku_id = p_sku_id AND sl.holder = d.holder
    WHERE d.units < 0
  ), withdrawn AS (
    UPDATE stock_slot sl
    SET allotted = sl.allotted - t.units, remaining = sl.remaining - t.units, version = v_version
    FROM (SELECT slot_no, least(remaining, wanted - before) AS units FROM ranked WHERE before < wanted) AS t
    WHERE sl.sku_id = p_sku_id AND sl.slot_no = t.slot_no AND t.units > 0
    RETURNING t.units
  )
  SELECT coalesce(sum(units), 0)::bigint INTO v_moved FROM withdrawn;
  SELECT remaining + v_moved INTO v_pool FROM stock_slot WHERE sku_id = p_sku_id AND slot_no = 0;

  -- Make slots for receivers that have none yet.
  INSERT INTO stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
  SELECT p_sku_id,
         (SELECT max(slot_no) FROM stock_slot WHERE sku_id = p_sku_id)
           + row_number() OVER (ORDER BY d.holder, k),
         d.holder, 0, 0, v_version
  FROM unnest(p_holders, p_deltas) AS d (holder, units)
  JOIN incarnation i ON i.incarnation_id = d.holder AND i.reclaimed_at IS NULL
  CROSS JOIN generate_series(1, v_sku.slots_per_slice) AS k
  WHERE d.units > 0 AND NOT EXISTS (SELECT FROM stock_slot x WHERE x.sku_id = p_sku_id AND x.holder = d.holder);

  -- Deposit, spread evenly over each receiver's slots. The casts matter: sum() of bigint is numeric, whose division does
  -- not round down.
  WITH granted AS (
    SELECT d.holder, least(d.units, v_pool - (sum(d.units) OVER (ORDER BY d.nth)::bigint - d.units)) AS units
    FROM unnest(p_holders, p_deltas) WITH ORDINALITY AS d (holder, units, nth)
    JOIN incarnation i ON i.incarnation_id = d.holder AND i.reclaimed_at IS NULL
    WHERE d.units > 0
  ), spread AS (
    SELECT sl.slot_no, g.units / count(*) OVER w
             + CASE WHEN row_number() OVER (w ORDER BY sl.remaining, sl.slot_no) <= g.units % count(*) OVER w
                    THEN 1 ELSE 0 END AS units
    FROM granted g JOIN stock_slot sl ON sl.sku_id = p_sku_id AND sl.holder = g.holder
    WHERE g.units > 0
    WINDOW w AS (PARTITION BY sl.holder)
  ), deposited AS (
    UPDATE stock_slot sl
    SET allotted = sl.allotted + t.units, remaining = sl.remaining + t.units, version = v_version
    FROM spread t
    WHERE sl.sku_id = p_sku_id AND sl.slot_no = t.slot_no
    RETURNING t.units
  )
  SELECT v_pool - coalesce(sum(units), 0)::bigint INTO v_pool FROM deposited;

  UPDATE stock_slot SET allotted = v_pool, remaining = v_pool, version = v_version
  WHERE sku_id = p_sku_id AND slot_no = 0;
  UPDATE sku SET quota_version = v_version, pool_waiting = v_pool > 0 WHERE sku_id = p_sku_id;
  IF p_actor <> '' THEN
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    SELECT p_actor, 'move_units', p_sku_id, v_before, jsonb_object_agg(coalesce(q.holder, 0), q.remaining)
    FROM (SELECT holder, sum(remaining) AS remaining FROM stock_slot
          WHERE sku_id = p_sku_id AND (slot_no = 0 OR holder = ANY (p_holders)) GROUP BY holder) AS q;
  END IF;
  RETURN true;
END
$$;
