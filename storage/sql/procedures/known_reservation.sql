-- The reservation as it is or, if retention has taken it, as the archive keeps it. For other procedures.
CREATE OR REPLACE FUNCTION tranche.known_reservation(p_id uuid)
RETURNS SETOF tranche.reservation_row
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET enable_seqscan = off
AS $$
  SELECT r.* FROM reservation_row r WHERE r.reservation_id = p_id
  UNION ALL
  SELECT a.reservation_id, a.sku_id, a.user_id, a.quantity, a.state, a.amount_minor, a.currency, a.incarnation_id,
         (date_part('epoch', a.created_at) * 1000000)::bigint, (date_part('epoch', a.expires_at) * 1000000)::bigint,
         (date_part('epoch', a.finished_at) * 1000000)::bigint, a.payment_reference, a.cancel_reason, a.extensions,
         a.revision, a.rebooked_from
  FROM reservation_archive a
  WHERE a.reservation_id = p_id AND NOT EXISTS (SELECT FROM reservation r WHERE r.reservation_id = p_id)
$$;
