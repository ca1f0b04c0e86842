-- The same as mark_ledger if the history goes on from (p_line, p_count), which somebody remembers. If not, it only says
-- where the ledger stands, and counts nothing: else a few looks whose answers are lost, or that cannot be acted on,
-- would lift the count above what is remembered, and then nobody would notice any more. The bits above the 40th are the
-- history (begin_history).
CREATE OR REPLACE FUNCTION tranche.mark_ledger_after(p_line text, p_count bigint)
RETURNS TABLE (line text, count bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_line  text := tranche.ledger_line();
  v_count bigint;
BEGIN
  UPDATE ledger_mark SET count = count + 1
  WHERE v_line = p_line AND count >= p_count AND count >> 40 = p_count >> 40
  RETURNING count INTO v_count;
  IF v_count IS NULL THEN
    SELECT m.count INTO v_count FROM ledger_mark m;
  END IF;
  RETURN QUERY SELECT v_line, v_count;
END
$$;
