-- Those of the reservations that exist.
CREATE OR REPLACE FUNCTION tranche.find_reservations(p_ids uuid[])
RETURNS TABLE (reservation_id uuid, sku_id text, user_id text, quantity integer, state text, amount_minor bigint,
               currency text, incarnation_id bigint, created_us bigint, expires_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT r.reservation_id, r.sku_id, r.user_id, r.quantity, r.state, r.amount_minor, r.currency, r.incarnation_id,
         (extract(epoch FROM r.created_at) * 1000000)::bigint, (extract(epoch FROM r.expires_at) * 1000000)::bigint
  FROM reservation r
  WHERE r.reservation_id = ANY (p_ids)
$$;
