-- What a change of a policy does to its lottery's round: p_admitted of a million buyers are to be admitted; NULL if the policy has no
-- lottery any more. A round begins if none runs, or if p_new_round; then the one that runs ends. True if one has begun. The newest 100
-- are kept.
CREATE OR REPLACE FUNCTION tranche.change_lottery_round(p_sku_id text, p_admitted integer, p_new_round boolean, p_actor text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  c_kept   constant integer := 100;
  v_now    timestamptz := clock_timestamp();
  v_before front_round%ROWTYPE;
  v_after  front_round%ROWTYPE;
BEGIN
  SELECT r.* INTO v_before FROM front_round r WHERE r.sku_id = p_sku_id AND r.ended_at IS NULL;
  IF v_before.number IS NOT NULL AND (p_admitted IS NULL OR p_new_round) THEN
    UPDATE front_round SET ended_at = v_now WHERE sku_id = p_sku_id AND ended_at IS NULL;
  ELSIF v_before.number IS NOT NULL THEN
    UPDATE front_round SET admitted = p_admitted WHERE sku_id = p_sku_id AND ended_at IS NULL;
    RETURN false;
  END IF;
  IF p_admitted IS NULL THEN
    RETURN false;
  END IF;
  INSERT INTO front_round (sku_id, number, key, admitted, started_at)
  SELECT p_sku_id, coalesce(max(r.number), 0) + 1, random_key(), p_admitted, v_now FROM front_round r WHERE r.sku_id = p_sku_id
  RETURNING * INTO v_after;
  DELETE FROM front_round r WHERE r.sku_id = p_sku_id AND r.number <= v_after.number - c_kept;
  -- Never the keys.
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, 'begin_lottery_round', p_sku_id,
          CASE WHEN v_before.number IS NULL THEN '{}'::jsonb
               ELSE jsonb_build_object('round', v_before.number, 'commitment', encode(sha256(v_before.key), 'hex'),
                                       'admitted_per_million', v_before.admitted) END,
          jsonb_build_object('round', v_after.number, 'commitment', encode(sha256(v_after.key), 'hex'),
                             'admitted_per_million', v_after.admitted));
  RETURN true;
END
$$;
