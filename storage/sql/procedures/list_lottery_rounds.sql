-- Rounds of the lottery of a policy, the newest first.
CREATE OR REPLACE FUNCTION tranche.list_lottery_rounds(p_sku_id text, p_limit integer)
RETURNS TABLE (sku_id text, number bigint, key text, commitment text, admitted integer, started_us bigint, ended_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT r.sku_id, r.number, encode(r.key, 'hex'), encode(sha256(r.key), 'hex'), r.admitted,
         (extract(epoch FROM r.started_at) * 1000000)::bigint, (extract(epoch FROM r.ended_at) * 1000000)::bigint
  FROM front_round r
  WHERE r.sku_id = p_sku_id
  ORDER BY r.number DESC
  LIMIT p_limit
$$;
