-- Notes of a batch of claims that were decided apart from their callers (docs/decisions/0021-queue.md) that they are refused
-- for good, in one transaction: of each whose id does not exist, a reservation is born CANCELLED at revision 1, with the
-- reason 'REFUSED <reason>'. Set-based: a constant number of statements however long the batch.
--
-- p_ids must be distinct. p_references are the shop's names for the orders, '' for none, or as a whole empty; p_reasons are
-- names of tranche.v1.ErrorReason; p_groups are the groups that they were to join, NULL for none, or as a whole empty; NULL if the caller
-- does not know of groups. Returns one row per claim with its position `idx` (from 1), the reservation as it is now, and the outcome:
--   REFUSED REPLAYED (such a row was there, perhaps with another reason) SOLD (it was sold once, whatever became of it) and,
--   without the reservation, CONFLICT (the id is that of another claim), SKU_NOT_FOUND and MOVING (the SKU is on its way to
--   another shard, or gone there: nothing was decided)
-- Rows come in no order.
--
-- Such a row is known by the end of its hold, which is its beginning: every other hold lasts for a second at least. Its
-- incarnation is 0, which has no slices: no unit was spent for it. It is final from its birth, so it has no message, no part
-- in a limit, and none in any sum but that of reservations that ended. Of a claim that was to join a group it has no group either,
-- so nothing that is done to groups finds it.
--
-- Why it is safe:
--   one decision  the primary key: whoever comes second, here or in commit_reservations, inserts nothing, and is classified by a
--                 statement whose snapshot is newer than the row that was in the way
--   moving SKUs   pinned before their whereabouts are read
--
-- Locks: pins, and the inserted reservations in (sku, user, id) order. Who waits for one of these is a sale, or another call
-- of this, whose inserts go in the same order; neither wants a pin by then. For a SKU's row or slot nobody waits here.
CREATE OR REPLACE FUNCTION tranche.refuse_claims(p_ids uuid[], p_skus text[], p_users text[], p_quantities integer[],
                                                 p_references text[], p_reasons text[], p_groups uuid[] DEFAULT NULL)
RETURNS SETOF tranche.change_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_refused uuid[];
BEGIN
  IF (SELECT count(DISTINCT id) FROM unnest(p_ids) AS id) <> cardinality(p_ids) THEN
    RAISE EXCEPTION 'reservation ids of a batch must be distinct' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM pin_skus(p_skus);

  WITH refused AS (
    INSERT INTO reservation AS r (reservation_id, sku_id, user_id, quantity, ordinal, state, amount_minor, currency,
                                  incarnation_id, created_at, expires_at, finished_at, cancel_reason, order_reference)
    -- A quantity that no limit has let through may be so high that its amount is none.
    SELECT c.id, s.sku_id, c.user_id, c.quantity, 1, 'CANCELLED',
           least(s.price_minor::numeric * c.quantity, 9223372036854775807)::bigint, s.currency, 0, now(), now(), now(),
           'REFUSED ' || c.reason, nullif(c.reference, '')
    FROM unnest(p_ids, p_skus, p_users, p_quantities, p_references, p_reasons)
           AS c (id, sku_id, user_id, quantity, reference, reason)
    JOIN sku s ON s.sku_id = c.sku_id AND s.whereabouts = 'HERE'
    ORDER BY s.sku_id, c.user_id COLLATE "C", c.id
    ON CONFLICT DO NOTHING
    RETURNING r.reservation_id
  )
  SELECT array_agg(f.reservation_id) INTO v_refused FROM refused f;
  -- A repeat is a way to find out what became of a claim. With a row inserted, this transaction waits for the standby.
  IF v_refused IS NULL AND EXISTS (SELECT FROM reservation r WHERE r.reservation_id = ANY (p_ids) OFFSET 0) THEN
    PERFORM await_standby();
  END IF;

  -- A statement of its own: its snapshot sees every row that was in the way.
  RETURN QUERY
  SELECT o.idx, o.outcome, NULL::bigint, r.*
  FROM (SELECT c.idx::integer AS idx, c.id,
               CASE
                 WHEN done.id IS NOT NULL THEN 'REFUSED'
                 WHEN s.whereabouts IN ('GONE', 'ARRIVING') THEN 'MOVING'
                 WHEN x.reservation_id IS NULL THEN CASE WHEN s.sku_id IS NULL THEN 'SKU_NOT_FOUND' ELSE 'MOVING' END
                 WHEN x.sku_id <> c.sku_id OR x.user_id <> c.user_id OR x.quantity <> c.quantity
                      OR x.order_reference IS DISTINCT FROM nullif(c.reference, '') THEN 'CONFLICT'
                 WHEN x.state = 'CANCELLED' AND x.expires_at = x.created_at AND starts_with(x.cancel_reason, 'REFUSED ')
                      THEN 'REPLAYED'
                 WHEN p_groups IS NOT NULL AND x.group_id IS DISTINCT FROM c.group_id THEN 'CONFLICT'
                 ELSE 'SOLD'
               END AS outcome
        FROM unnest(p_ids, p_skus, p_users, p_quantities, p_references, p_groups) WITH ORDINALITY
               AS c (id, sku_id, user_id, quantity, reference, group_id, idx)
        LEFT JOIN unnest(v_refused) AS done (id) ON done.id = c.id
        LEFT JOIN sku s ON s.sku_id = c.sku_id
        LEFT JOIN LATERAL (SELECT * FROM reservation y WHERE y.reservation_id = c.id OFFSET 0) AS x ON true) AS o
  LEFT JOIN LATERAL (SELECT y.* FROM reservation_columns y
                     WHERE y.reservation_id = o.id AND o.outcome IN ('REFUSED', 'REPLAYED', 'SOLD') OFFSET 0) AS r ON true;
END
$$;
