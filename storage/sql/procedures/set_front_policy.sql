-- Sets the front door's policy of a SKU, or, as '*', that of all SKUs without one of their own; removes it if p_document is NULL.
-- p_admitted is what the document says about its lottery: so many of a million buyers; NULL if it has none. p_new_round ends the
-- lottery's round and begins another one.
--
-- One row: the policy as it is then, without a document if there is none, and whether a round has begun. It changes nothing if
-- `outcome` is not DONE: SHRINKS if the round that runs admits more, FULL if there are as many policies as may be. Error TR001 if
-- p_expected_version is given and the policy has another one (0: there is none). What is stored already changes and audits nothing,
-- whatever version was expected, so a call whose answer was lost can be repeated.
CREATE OR REPLACE FUNCTION tranche.set_front_policy(p_sku_id text, p_document text, p_admitted integer, p_new_round boolean,
                                                    p_expected_version bigint, p_actor text)
RETURNS TABLE (outcome text, round_begun boolean, sku_id text, document text, version bigint, changed_us bigint, changed_by text,
               round_number bigint, round_key text, round_commitment text, round_admitted integer, round_started_us bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- A change that waits for a synchronous standby has the door locked: rather fail than hold a connection for as long.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  c_most     constant integer := 10000;
  v_outcome  text := 'DONE';
  v_begun    boolean := false;
  v_admitted integer := CASE WHEN p_document IS NOT NULL THEN p_admitted END;
  v_before   front_policy%ROWTYPE;
  v_round    front_round%ROWTYPE;
  v_version  bigint;
BEGIN
  PERFORM FROM front_door FOR UPDATE;
  SELECT p.* INTO v_before FROM front_policy p WHERE p.sku_id = p_sku_id;
  SELECT r.* INTO v_round FROM front_round r WHERE r.sku_id = p_sku_id AND r.ended_at IS NULL;
  IF v_before.document IS DISTINCT FROM p_document OR v_round.admitted IS DISTINCT FROM v_admitted
     OR (p_new_round AND v_admitted IS NOT NULL) THEN
    v_version := CASE WHEN v_before.document IS NULL THEN 0 ELSE v_before.version END;
    IF v_version <> p_expected_version THEN
      RAISE EXCEPTION 'the policy of % has version %, not %', p_sku_id, v_version, p_expected_version USING ERRCODE = 'TR001';
    END IF;
    IF v_before.document IS NULL AND (SELECT count(*) FROM front_policy p WHERE p.document IS NOT NULL) >= c_most THEN
      v_outcome := 'FULL';
    ELSIF v_admitted < v_round.admitted AND NOT p_new_round THEN
      v_outcome := 'SHRINKS';
    ELSE
      v_version := next_front_version();
      v_begun := change_lottery_round(p_sku_id, v_admitted, p_new_round, p_actor);
      INSERT INTO front_policy AS p (sku_id, document, version, changed_at, changed_by)
      VALUES (p_sku_id, p_document, v_version, clock_timestamp(), split_part(p_actor, E'\n', 1))
      ON CONFLICT ON CONSTRAINT front_policy_pkey DO UPDATE
      SET document = excluded.document, version = excluded.version, changed_at = excluded.changed_at,
          changed_by = excluded.changed_by;
      IF v_before.document IS DISTINCT FROM p_document OR NOT v_begun THEN
        INSERT INTO audit_log (actor, action, sku_id, before, after)
        VALUES (p_actor, CASE WHEN p_document IS NULL THEN 'remove_front_policy' ELSE 'set_front_policy' END, p_sku_id,
                CASE WHEN v_before.document IS NULL THEN '{}'::jsonb
                     ELSE jsonb_build_object('policy', v_before.document::jsonb) END,
                CASE WHEN p_document IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('policy', p_document::jsonb) END);
      END IF;
    END IF;
  END IF;
  RETURN QUERY
  SELECT v_outcome, v_begun, l.*
  FROM (VALUES (true)) AS one (x) LEFT JOIN list_front_policies(p_sku_id, 0) AS l ON true;
END
$$;
