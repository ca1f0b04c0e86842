-- Whether a payment for a reservation that has ended is told as PAID_UNFULFILLED, and not as STATE: the hold has ended by itself, or with
-- its group (p_group, NULL for none), and not because its buyer wanted it (p_reason).
--
-- For other procedures.
CREATE OR REPLACE FUNCTION tranche.is_unfulfilled(p_state text, p_group uuid, p_reason text)
RETURNS boolean
LANGUAGE sql IMMUTABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
  -- What a procedure of groups cancels a hold for, and nobody else may (kReasonsOfGroups in storage/ledger/lifecycle_ledger.h).
  SELECT coalesce(p_state = 'EXPIRED'
                  OR (p_group IS NOT NULL AND p_state = 'CANCELLED'
                      AND p_reason IN ('GROUP_FULL', 'GROUP_OVER', 'GROUP_FAILED', 'GROUP_CANCELLED')), false)
$$;
