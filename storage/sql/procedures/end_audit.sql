-- Adds what came of the change whose entry begin_audit began, with an `outcome` other than UNKNOWN. What was asked for stays as it is,
-- and so does an entry that has an outcome: false.
CREATE OR REPLACE FUNCTION tranche.end_audit(p_audit_id bigint, p_after jsonb)
RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
BEGIN
  UPDATE audit_log SET after = after || p_after || (after - 'outcome')
  WHERE audit_id = p_audit_id AND after ->> 'outcome' = 'UNKNOWN';
  RETURN FOUND;
END
$$;
