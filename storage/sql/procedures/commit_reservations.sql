-- Commits a batch of claims for one incarnation in one transaction. Set-based throughout: a constant number of
-- statements however long the batch.
--
-- p_ids must be distinct. p_references are the shop's names for the orders, '' for none; NULL if the caller does not
-- know of them. p_groups are the groups that join_groups will make them members of, NULL for those of none, or as a whole
-- empty: a repeat must be for the same. NULL if the caller does not know of groups: then a repeat may be for any. BUSY
-- means that nothing is decided about a claim. p_wait says what is done about locked slots:
--   true   all slots of the slice are locked in (sku, slot) order, waiting for other transactions
--   false  one slot per SKU is taken, the fullest unlocked one. A claim that does not fit there is BUSY, and must be sent
--          again with true
--   NULL   as true without waiting: if a slot of the slice is locked, all claims for its SKU are BUSY, except repeats.
--          What an insert waits for is waited for
--
-- Returns one row per claim with its position `idx` (from 1) and its outcome:
--   CREATED REPLAYED CONFLICT USER_LIMIT_REACHED NOT_HELD SHORT BUSY SKU_NOT_FOUND QUANTITY_ABOVE_LIMIT NOT_OPEN CLOSED
--   PAUSED (with what buyers are told about it as `cancel_reason`)
--   MOVING (the SKU is on its way to another shard, or gone there: nothing was decided)
-- and, for CREATED and REPLAYED, the reservation's own columns (those about its later life only for REPLAYED); for
-- SHORT the version of the slice that was too short. Rows come in no order.
--
-- Why it is safe:
--   ownership     only slots whose holder is p_incarnation are locked and decremented
--   conservation  what is inserted is what is subtracted, in this transaction, from slots locked before the insert
--   once per id   the primary key; a claim that meets another transaction's row inserts nothing and is classified by
--                 the last statement, whose snapshot is newer than that row
--   per buyer     the unique index for a limit that was always 1; otherwise an advisory lock per (sku, buyer), taken in
--                 one order
--   one price     what changes a SKU's terms, or pauses it, locks every slot before it commits: with a slot locked, we read
--                 the same terms each time
--   moving SKUs   a move locks every slot before it says that the SKU is leaving, and we read where it is afterwards
--
-- Smaller quantities of a batch go first. Only then do running sums say exactly which claims fit, because everything
-- after one that does not fit is at least as large. For equal quantities the order of the claims decides.
--
-- The first pass looks up nothing that the unique indexes find anyway: nearly all claims are new. Units planned for
-- claims that turned out to be repeats are offered to the others in another pass, which does look. So SHORT is always
-- true.
--
-- Inserts go in (sku, user, id) order, so that two batches meet in the same order; a deadlock that still happens is
-- retried by the caller.
CREATE OR REPLACE FUNCTION tranche.commit_reservations(
  p_incarnation bigint,
  p_wait        boolean,
  p_ids         uuid[],
  p_skus        text[],
  p_users       text[],
  p_quantities  integer[],
  p_references  text[] DEFAULT NULL,
  p_groups      uuid[] DEFAULT NULL
)
RETURNS SETOF tranche.claim_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- Generic plans with index scans: right for every table size, and planned once per connection. A plan made while
-- `reservation` was empty would otherwise scan it whole later.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_skus       text[];
  v_slot_skus  text[];
  v_slot_nos   integer[];
  v_slot_units bigint[];
  -- Numbers of the latest pass.
  v_first_pass boolean := true;
  v_planned    bigint;
  v_ids        uuid[];
  v_ids_skus   text[];
  v_ids_units  integer[];
  -- Numbers of all passes.
  v_created    uuid[] := '{}'::uuid[];
  v_now_us     bigint := (date_part('epoch', now()) * 1000000)::bigint;
BEGIN
  IF (SELECT count(DISTINCT id) FROM unnest(p_ids) AS id) <> cardinality(p_ids) THEN
    RAISE EXCEPTION 'reservation ids of a batch must be distinct' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT array_agg(DISTINCT s COLLATE "C") INTO v_skus FROM unnest(p_skus) AS s;

  -- 1. Lock slots: the fence. From here on only we can change their `remaining`.
  IF p_wait THEN
    SELECT array_agg(l.sku_id), array_agg(l.slot_no), array_agg(l.remaining)
    INTO v_slot_skus, v_slot_nos, v_slot_units
    FROM (SELECT sl.sku_id, sl.slot_no, sl.remaining
          FROM stock_slot sl
          WHERE sl.holder = p_incarnation AND sl.sku_id = ANY (v_skus)
          ORDER BY sl.sku_id, sl.slot_no
          FOR UPDATE) AS l;
  ELSE
    SELECT array_agg(l.sku_id), array_agg(l.slot_no), array_agg(l.remaining)
    INTO v_slot_skus, v_slot_nos, v_slot_units
    FROM unnest(v_skus) AS wanted (sku_id)
    CROSS JOIN LATERAL (SELECT sl.sku_id, sl.slot_no, sl.remaining
                        FROM stock_slot sl
                        WHERE sl.holder = p_incarnation AND sl.sku_id = wanted.sku_id
                        ORDER BY sl.remaining DESC
                        LIMIT CASE WHEN p_wait IS NOT NULL THEN 1 END
                        FOR UPDATE SKIP LOCKED) AS l;
  END IF;
  IF p_wait IS NULL THEN
    -- Leave out the slices of which a slot was skipped. A slot that comes to one meanwhile is taken for one of those.
    SELECT array_agg(l.sku_id), array_agg(l.slot_no), array_agg(l.remaining)
    INTO v_slot_skus, v_slot_nos, v_slot_units
    FROM (SELECT x.*, count(*) OVER (PARTITION BY x.sku_id) AS slots
          FROM unnest(v_slot_skus, v_slot_nos, v_slot_units) AS x (sku_id, slot_no, remaining)) AS l
    WHERE l.slots = (SELECT count(*) FROM stock_slot sl WHERE sl.holder = p_incarnation AND sl.sku_id = l.sku_id);
  END IF;

  -- 2. Handle a buyer in one transaction at a time where the unique index alone does not enforce the limit.
  PERFORM pg_advisory_xact_lock(b.key)
  FROM (SELECT DISTINCT hashtextextended(c.user_id, hashtextextended(c.sku_id, 0)) AS key
        FROM unnest(p_skus, p_users) AS c (sku_id, user_id)
        JOIN sku s ON s.sku_id = c.sku_id AND coalesce(s.highest_limit, s.per_user_limit) > 1
        WHERE c.sku_id = ANY (v_slot_skus)
        ORDER BY key) AS b;

  WHILE v_slot_skus IS NOT NULL LOOP
    -- 3. Insert the open claims that are within the buyer's limit and fit into the locked slots.
    WITH available AS (
      SELECT l.sku_id, sum(l.units) AS units
      FROM unnest(v_slot_skus, v_slot_units) AS l (sku_id, units) GROUP BY l.sku_id
    ), fresh AS (
      SELECT c.id, s.sku_id, c.user_id COLLATE "C" AS user_id, c.quantity, c.reference, c.idx,
             s.price_minor, s.currency, s.hold_seconds, s.per_user_limit, live.ordinals,
             coalesce(live.units, 0) + sum(c.quantity) OVER buyer AS buyer_units, row_number() OVER buyer AS buyer_claim
      FROM unnest(p_ids, p_skus, p_users, p_quantities, p_references) WITH ORDINALITY
             AS c (id, sku_id, user_id, quantity, reference, idx)
      JOIN sku s ON s.sku_id = c.sku_id AND s.state = 'OPEN' AND s.opens_at <= now() AND now() < s.closes_at
        AND s.whereabouts = 'HERE' AND NOT s.paused
      LEFT JOIN LATERAL (SELECT sum(r.quantity) AS units, array_agg(r.ordinal) AS ordinals
                         FROM reservation r
                         WHERE (coalesce(s.highest_limit, s.per_user_limit) > 1 OR NOT v_first_pass)
                           AND r.sku_id = c.sku_id AND r.user_id = c.user_id
                           AND r.state IN ('PENDING', 'CONFIRMED')) AS live ON true
      WHERE c.quantity BETWEEN 1 AND s.per_user_limit
        AND (v_first_pass OR NOT EXISTS (SELECT FROM reservation r WHERE r.reservation_id = c.id OFFSET 0))
      WINDOW buyer AS (PARTITION BY s.sku_id, c.user_id COLLATE "C" ORDER BY c.quantity, c.idx)
    ), fitting AS (
      SELECT f.*, sum(f.quantity) OVER (PARTITION BY f.sku_id ORDER BY f.quantity, f.idx) AS batch_units
      FROM fresh f
      WHERE f.buyer_units <= f.per_user_limit
    ), planned AS MATERIALIZED (
      SELECT f.id, f.sku_id, f.user_id, f.quantity, nullif(f.reference, '') AS reference,
             CASE WHEN f.ordinals IS NULL THEN f.buyer_claim
                  ELSE (SELECT g FROM generate_series(1, f.per_user_limit) AS g
                        WHERE g <> ALL (f.ordinals) ORDER BY g OFFSET f.buyer_claim - 1 LIMIT 1) END AS ordinal,
             f.price_minor * f.quantity AS amount_minor, f.currency, f.hold_seconds
      FROM fitting f
      JOIN available a ON a.sku_id = f.sku_id
      WHERE f.batch_units <= a.units
      ORDER BY f.sku_id, f.user_id, f.id
    ), created AS (
      INSERT INTO reservation AS r (reservation_id, sku_id, user_id, quantity, ordinal, amount_minor, currency,
                                    incarnation_id, created_at, expires_at, order_reference)
      SELECT p.id, p.sku_id, p.user_id, p.quantity, p.ordinal, p.amount_minor, p.currency, p_incarnation, now(),
             now() + make_interval(secs => p.hold_seconds), p.reference
      FROM planned p
      ON CONFLICT DO NOTHING
      RETURNING r.reservation_id, r.sku_id, r.quantity
    )
    SELECT (SELECT count(*) FROM planned), array_agg(c.reservation_id), array_agg(c.sku_id), array_agg(c.quantity)
    INTO v_planned, v_ids, v_ids_skus, v_ids_units FROM created c;

    -- 4. Subtract exactly what was inserted, slot by slot.
    UPDATE stock_slot sl
    SET remaining = sl.remaining - t.units
    FROM (SELECT l.sku_id, l.slot_no,
                 least(l.units, greatest(0, sold.units - (sum(l.units) OVER (PARTITION BY l.sku_id ORDER BY l.slot_no)
                                                          - l.units))) AS units
          FROM unnest(v_slot_skus, v_slot_nos, v_slot_units) AS l (sku_id, slot_no, units)
          JOIN (SELECT c.sku_id, sum(c.quantity) AS units
                FROM unnest(v_ids_skus, v_ids_units) AS c (sku_id, quantity) GROUP BY c.sku_id) AS sold
            ON sold.sku_id = l.sku_id) AS t
    WHERE sl.sku_id = t.sku_id AND sl.slot_no = t.slot_no AND t.units > 0;

    v_created := v_created || v_ids;
    EXIT WHEN v_planned = coalesce(cardinality(v_ids), 0);
    v_first_pass := false;
    SELECT array_agg(sl.remaining ORDER BY l.nth) INTO v_slot_units
    FROM unnest(v_slot_skus, v_slot_nos) WITH ORDINALITY AS l (sku_id, slot_no, nth)
    JOIN stock_slot sl ON sl.sku_id = l.sku_id AND sl.slot_no = l.slot_no;
  END LOOP;

  -- 5. Give each claim its outcome, by a snapshot that sees every row that was in the way.
  -- The SKU's terms are those of the insert, since we have its slots, so inserted rows need not be read again.
  RETURN QUERY
  SELECT c.idx::integer, 'CREATED', 'PENDING', s.price_minor * c.quantity, s.currency, p_incarnation,
         v_now_us, v_now_us + s.hold_seconds * 1000000::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::text,
         NULL::integer, NULL::integer, NULL::uuid
  FROM unnest(p_ids, p_skus, p_quantities) WITH ORDINALITY AS c (id, sku_id, quantity, idx)
  JOIN unnest(v_created) AS done (id) ON done.id = c.id
  JOIN sku s ON s.sku_id = c.sku_id;
  IF cardinality(v_created) = cardinality(p_ids) THEN
    RETURN;
  END IF;
  -- A repeat is the way to find out what became of a claim. With a slot locked, this transaction waits for the standby.
  IF v_slot_skus IS NULL AND EXISTS (SELECT FROM reservation r WHERE r.reservation_id = ANY (p_ids) OFFSET 0) THEN
    PERFORM await_standby();
  END IF;
  RETURN QUERY
  SELECT c.idx::integer,
         CASE
           WHEN s.whereabouts IN ('GONE', 'ARRIVING') THEN 'MOVING'
           WHEN r.reservation_id IS NOT NULL THEN
             CASE WHEN r.sku_id = c.sku_id AND r.user_id = c.user_id AND r.quantity = c.quantity
                       AND (p_references IS NULL OR r.order_reference IS NOT DISTINCT FROM nullif(c.reference, ''))
                       -- The row of a claim that was refused for good has no group, whatever it was to join.
                       AND (p_groups IS NULL OR r.group_id IS NOT DISTINCT FROM c.group_id
                            OR (r.state = 'CANCELLED' AND r.expires_us = r.created_us AND starts_with(r.cancel_reason, 'REFUSED ')))
                  THEN 'REPLAYED' ELSE 'CONFLICT' END
           WHEN s.sku_id IS NULL THEN 'SKU_NOT_FOUND'
           WHEN s.whereabouts = 'LEAVING' THEN 'MOVING'
           WHEN s.state <> 'OPEN' OR now() >= s.closes_at THEN 'CLOSED'
           WHEN s.paused THEN 'PAUSED'
           WHEN now() < s.opens_at THEN 'NOT_OPEN'
           WHEN c.quantity NOT BETWEEN 1 AND s.per_user_limit THEN 'QUANTITY_ABOVE_LIMIT'
           WHEN live.units + c.quantity > s.per_user_limit THEN 'USER_LIMIT_REACHED'
           WHEN c.sku_id = ANY (v_slot_skus) THEN CASE WHEN p_wait IS NOT FALSE THEN 'SHORT' ELSE 'BUSY' END
           WHEN p_wait OR NOT EXISTS (SELECT FROM stock_slot sl
                                      WHERE sl.holder = p_incarnation AND sl.sku_id = c.sku_id) THEN 'NOT_HELD'
           ELSE 'BUSY'
         END,
         r.state, r.amount_minor, r.currency, r.incarnation_id, r.created_us, r.expires_us,
         (SELECT max(sl.version) FROM stock_slot sl WHERE sl.holder = p_incarnation AND sl.sku_id = c.sku_id),
         r.finished_us, r.payment_reference,
         CASE WHEN r.reservation_id IS NULL THEN s.pause_reason ELSE r.cancel_reason END, r.extensions, r.revision,
         r.rebooked_from
  FROM unnest(p_ids, p_skus, p_users, p_quantities, p_references, p_groups) WITH ORDINALITY
         AS c (id, sku_id, user_id, quantity, reference, group_id, idx)
  LEFT JOIN unnest(v_created) AS done (id) ON done.id = c.id
  LEFT JOIN sku s ON s.sku_id = c.sku_id
  LEFT JOIN LATERAL (SELECT * FROM reservation_columns x WHERE x.reservation_id = c.id OFFSET 0) AS r ON true
  LEFT JOIN LATERAL (SELECT coalesce(sum(x.quantity), 0) AS units
                     FROM reservation x
                     WHERE r.reservation_id IS NULL AND x.sku_id = c.sku_id AND x.user_id = c.user_id
                       AND x.state IN ('PENDING', 'CONFIRMED')) AS live ON true
  WHERE done.id IS NULL;
END
$$;
