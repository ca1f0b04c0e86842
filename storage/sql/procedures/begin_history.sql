-- The ledger is another one than before, or an older state of itself: new incarnations get numbers above p_above, which
-- is the highest that anybody remembers, so that none gets the number of one whose registration was lost. Returns the
-- first of them: the incarnations below it are of the earlier history.
--
-- Numbers that were given out just before the loss, and of which nobody has heard yet, are left out, too.
--
-- The upper bits of the ledger's count name the history, by its first incarnation and by chance: a later backup of the
-- history that broke off may have counted further than this one will have when it is replaced by that.
CREATE OR REPLACE FUNCTION tranche.begin_history(p_above bigint, p_actor text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
AS $$
DECLARE
  c_sequence constant regclass := pg_get_serial_sequence('tranche.incarnation', 'incarnation_id')::regclass;
  c_unheard  constant bigint := 1000::bigint;
  v_last     bigint;
  v_first    bigint;
BEGIN
  IF p_above > (1::bigint << 61) THEN
    RAISE EXCEPTION 'no incarnation has a number like %', p_above USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT greatest(nextval(c_sequence), coalesce(max(i.incarnation_id), 0::bigint)) INTO v_last FROM incarnation i;
  v_first := greatest(p_above, v_last) + c_unheard;
  PERFORM setval(c_sequence, v_first, false);
  UPDATE ledger_mark SET count = ((floor(random() * 1024)::bigint << 12) | (v_first % 4096)) << 40;
  INSERT INTO audit_log (actor, action, before, after)
  VALUES (p_actor, 'begin_history', jsonb_build_object('last_incarnation', v_last),
          jsonb_build_object('first_incarnation', v_first));
  RETURN v_first;
END
$$;
