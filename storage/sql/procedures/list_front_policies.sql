-- The front door's policies, '*' first, with the rounds of their lotteries that run: of p_sku_id, or of all if that is ''. With
-- p_since, those that have changed after that version; `document` is NULL where the policy was removed. Otherwise those that are there.
-- At most 10,000 are there, so none has an index by version.
CREATE OR REPLACE FUNCTION tranche.list_front_policies(p_sku_id text, p_since bigint DEFAULT NULL)
RETURNS TABLE (sku_id text, document text, version bigint, changed_us bigint, changed_by text, round_number bigint, round_key text,
               round_commitment text, round_admitted integer, round_started_us bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  SELECT p.sku_id, p.document, p.version, (extract(epoch FROM p.changed_at) * 1000000)::bigint, p.changed_by, r.number,
         encode(r.key, 'hex'), encode(sha256(r.key), 'hex'), r.admitted, (extract(epoch FROM r.started_at) * 1000000)::bigint
  FROM front_policy p
  LEFT JOIN front_round r ON r.sku_id = p.sku_id AND r.ended_at IS NULL
  WHERE (p_sku_id = '' OR p.sku_id = p_sku_id)
    AND CASE WHEN p_since IS NULL THEN p.document IS NOT NULL ELSE p.version > p_since END
  ORDER BY p.sku_id
$$;
