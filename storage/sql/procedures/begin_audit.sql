-- Begins the entry about a change that is not made by a transaction that writes one: of a reservation, or of the coordination tree.
-- It is committed before the change is made, so no change is without its entry. p_after is what was asked for; end_audit adds what
-- came of it. Until then, and for ever if nobody calls that, the outcome is UNKNOWN. Returns the entry's id.
CREATE OR REPLACE FUNCTION tranche.begin_audit(p_actor text, p_action text, p_sku_id text, p_before jsonb, p_after jsonb)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  v_id bigint;
BEGIN
  -- Lists leave out what processes do. None of them needs this, so nobody hides here.
  IF split_part(p_actor, E'\n', 3) = 'automatic' THEN
    RAISE EXCEPTION 'only people have entries of this kind' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO audit_log (actor, action, sku_id, before, after)
  VALUES (p_actor, p_action, nullif(p_sku_id, ''), p_before, p_after || jsonb_build_object('outcome', 'UNKNOWN'))
  RETURNING audit_id INTO v_id;
  RETURN v_id;
END
$$;
