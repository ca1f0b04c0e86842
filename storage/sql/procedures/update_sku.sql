-- Gives a SKU these terms of sale, all of them: a caller reads the SKU, changes what it wants to change, and passes the version
-- of the terms that it has read. They hold for claims that are booked after this has committed. What was reserved before keeps
-- its amount and the end of its hold; extensions go by the present terms.
--
-- False if there is no such SKU; error TR001 if the terms have another version, and are not these already; TR004 while it moves
-- to another shard. NULL in p_opens_us or p_closes_us: without that end of the window; in p_max_hold_seconds: no such bound; in
-- p_claim_path: as it is, which is what servers of before it mean.
CREATE OR REPLACE FUNCTION tranche.update_sku(
  p_sku_id text, p_terms_version bigint, p_title text, p_price_minor bigint, p_per_user_limit integer,
  p_hold_seconds integer, p_max_extensions integer, p_max_hold_seconds integer, p_opens_us bigint, p_closes_us bigint,
  p_presplit boolean, p_actor text, p_claim_path text DEFAULT NULL
)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_before sku%ROWTYPE;
  v_after  sku%ROWTYPE;
  v_old    jsonb;
  v_new    jsonb;
BEGIN
  SELECT * INTO v_before FROM lock_sku(p_sku_id);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  v_after := v_before;
  v_after.title := p_title;
  v_after.price_minor := p_price_minor;
  v_after.per_user_limit := p_per_user_limit;
  v_after.hold_seconds := p_hold_seconds;
  v_after.max_extensions := p_max_extensions;
  v_after.max_hold_seconds := p_max_hold_seconds;
  v_after.opens_at := coalesce(to_timestamp(p_opens_us / 1000000.0), '-infinity'::timestamptz);
  v_after.closes_at := coalesce(to_timestamp(p_closes_us / 1000000.0), 'infinity'::timestamptz);
  v_after.presplit := p_presplit;
  v_after.claim_path := coalesce(p_claim_path, v_before.claim_path);
  SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, n.value) INTO v_old, v_new
  FROM jsonb_each(sku_terms(v_before)) AS o
  JOIN jsonb_each(sku_terms(v_after)) AS n ON n.key = o.key AND n.value <> o.value;
  -- So a call whose answer was lost can be repeated.
  IF v_old IS NULL THEN
    RETURN true;
  END IF;
  IF v_before.terms_version <> p_terms_version THEN
    RAISE EXCEPTION 'the terms of % have version %, not %', p_sku_id, v_before.terms_version, p_terms_version
      USING ERRCODE = 'TR001';
  END IF;
  UPDATE sku
  SET title = v_after.title, price_minor = v_after.price_minor, per_user_limit = v_after.per_user_limit,
      hold_seconds = v_after.hold_seconds, max_extensions = v_after.max_extensions,
      max_hold_seconds = v_after.max_hold_seconds, opens_at = v_after.opens_at, closes_at = v_after.closes_at,
      presplit = v_after.presplit, claim_path = v_after.claim_path,
      highest_limit = greatest(highest_limit, per_user_limit, v_after.per_user_limit),
      quota_version = quota_version + 1, terms_version = terms_version + 1
  WHERE sku_id = p_sku_id;
  -- As close_sku: a sale reads the terms more than once, always with its slots locked. So it sees one version of them.
  PERFORM FROM stock_slot WHERE sku_id = p_sku_id ORDER BY slot_no FOR UPDATE;
  INSERT INTO audit_log (actor, action, sku_id, before, after) VALUES (p_actor, 'update_sku', p_sku_id, v_old, v_new);
  RETURN true;
END
$$;
