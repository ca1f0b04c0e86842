-- Notes that the payment provider has refunded late payments, with one audit row each. Returns one row per pair with
-- its position `idx` (from 1), in any order:
--   DONE; REPLAYED (it was noted before: nothing changes); NOT_FOUND; STATE (the payment bought another unit, so that it
--   is not to be paid back)
CREATE OR REPLACE FUNCTION tranche.mark_refunded(p_ids uuid[], p_references text[], p_actor text)
RETURNS TABLE (idx integer, outcome text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM late_payment l
  JOIN unnest(p_ids, p_references) AS p (id, reference) ON l.reservation_id = p.id AND l.payment_reference = p.reference
  ORDER BY l.reservation_id, l.payment_reference
  FOR UPDATE OF l;

  RETURN QUERY
  WITH marked AS (
    UPDATE late_payment l SET refunded_at = now()
    FROM (SELECT DISTINCT p.id, p.reference FROM unnest(p_ids, p_references) AS p (id, reference)) AS p
    WHERE l.reservation_id = p.id AND l.payment_reference = p.reference AND l.outcome = 'PAID_UNFULFILLED'
      AND l.refunded_at IS NULL
    RETURNING l.reservation_id, l.payment_reference, l.sku_id, l.amount_minor, l.currency, l.refunded_at
  ), audited AS (
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    SELECT p_actor, 'mark_refunded', m.sku_id,
           jsonb_build_object('reservation_id', m.reservation_id, 'payment_reference', m.payment_reference,
                              'refunded', false),
           jsonb_build_object('reservation_id', m.reservation_id, 'payment_reference', m.payment_reference,
                              'refunded', true, 'amount_minor', m.amount_minor, 'currency', m.currency)
    FROM marked m
    ORDER BY m.reservation_id, m.payment_reference
  )
  -- `l` is the row before the update: this statement's snapshot is older.
  SELECT p.idx::integer,
         CASE WHEN m.reservation_id IS NOT NULL THEN 'DONE'
              WHEN l.reservation_id IS NULL THEN 'NOT_FOUND'
              WHEN l.outcome = 'REBOOKED' THEN 'STATE'
              ELSE 'REPLAYED' END
  FROM unnest(p_ids, p_references) WITH ORDINALITY AS p (id, reference, idx)
  LEFT JOIN late_payment l ON l.reservation_id = p.id AND l.payment_reference = p.reference
  LEFT JOIN marked m ON m.reservation_id = p.id AND m.payment_reference = p.reference;
END
$$;
