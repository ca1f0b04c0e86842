-- Counts on, and says which line of history this is. Whoever remembers a mark knows by a later one whether everything
-- that this ledger had committed by then is still there: if so, the line is the same and the count is higher.
CREATE OR REPLACE FUNCTION tranche.mark_ledger()
RETURNS TABLE (line text, count bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_count bigint;
BEGIN
  UPDATE ledger_mark SET count = count + 1 RETURNING count INTO v_count;
  RETURN QUERY SELECT tranche.ledger_line(), v_count;
END
$$;
