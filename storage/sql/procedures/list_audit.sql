-- The audit log, the newest first: entries with an id below p_before (0: from the newest), as far as they match:
--   p_sku_id, p_action       exactly; '' is all
--   p_actor                  exactly, or with " as " and whom they acted for behind it, or, without an @, also with any @host behind
--                            it; '' is all
--   p_since_us, p_until_us   from the one to before the other; NULL is no bound
--   p_automatic              also what no person has asked for
--
-- `nodes` has the names of the incarnations that the entry is about, also of those that have ended: a line with number and name for
-- each, or NULL.
--
-- It is planned for the arguments of each call: what is not asked for is not in the plan, and each of the indexes has the order of
-- the answer. Actors and actions are asked for as a range, and are in the order: were they equal to a constant, the planner would walk
-- all entries of people, from the newest, and expect to meet the ones asked for soon. Of an action that only processes do it meets none.
CREATE OR REPLACE FUNCTION tranche.list_audit(
  p_sku_id text, p_before bigint, p_limit integer, p_actor text DEFAULT '', p_action text DEFAULT '',
  p_since_us bigint DEFAULT NULL, p_until_us bigint DEFAULT NULL, p_automatic boolean DEFAULT true
)
RETURNS TABLE (audit_id bigint, at_us bigint, actor text, action text, sku_id text, incarnation_id bigint, before text,
               after text, reason text, automatic boolean, nodes text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
  -- Ids follow the time only nearly: an entry has the time at which its transaction began. None takes an hour.
  c_slack  constant interval := interval '1 hour';
  v_since  timestamptz := 'epoch'::timestamptz + p_since_us * interval '1 microsecond';
  v_until  timestamptz := 'epoch'::timestamptz + p_until_us * interval '1 microsecond';
  v_from   bigint := 0::bigint;
  v_who    text := split_part(split_part(p_actor, ' as ', 1), '@', 1);
  v_before bigint := CASE WHEN p_before > 0 THEN p_before ELSE 9223372036854775807 END;
BEGIN
  IF v_since IS NOT NULL THEN
    v_from := coalesce((SELECT a.audit_id FROM audit_log a WHERE a.at < v_since - c_slack ORDER BY a.at DESC LIMIT 1), 0::bigint);
  END IF;
  IF v_until IS NOT NULL THEN
    v_before := least(v_before, (SELECT a.audit_id FROM audit_log a WHERE a.at >= v_until + c_slack ORDER BY a.at LIMIT 1));
  END IF;
  RETURN QUERY
  SELECT a.audit_id, (extract(epoch FROM a.at) * 1000000)::bigint, a.actor, a.action, coalesce(a.sku_id, '')::text,
         coalesce(a.incarnation_id, 0::bigint), a.before::text, a.after::text, coalesce(a.reason, ''), a.automatic,
         (SELECT string_agg(i.incarnation_id || ' ' || translate(i.node_name, E'\n', ' '), E'\n' ORDER BY i.incarnation_id)
          FROM (SELECT a.incarnation_id AS id
                UNION
                SELECT k.key::bigint
                -- Two objects, unless somebody else has written them.
                FROM jsonb_object_keys(CASE jsonb_typeof(a.before || a.after) WHEN 'object' THEN a.before || a.after
                                       ELSE '{}' END) AS k (key)
                WHERE k.key ~ '^[1-9][0-9]{0,17}$') AS n
          JOIN incarnation i ON i.incarnation_id = n.id)
  FROM audit_log a
  WHERE a.audit_id < v_before AND a.audit_id >= v_from
    AND (p_sku_id = '' OR a.sku_id = p_sku_id)
    AND (p_actor = '' OR (split_part(split_part(a.actor, ' as ', 1), '@', 1), a.audit_id) < (v_who, v_before)
                         AND (split_part(split_part(a.actor, ' as ', 1), '@', 1), a.audit_id) >= (v_who, v_from))
    AND (p_actor = '' OR a.actor = p_actor OR starts_with(a.actor, p_actor || ' as ')
         OR strpos(p_actor, '@') = 0 AND split_part(a.actor, '@', 1) = p_actor)
    AND (p_action = '' OR (a.action, a.audit_id) < (p_action, v_before) AND (a.action, a.audit_id) >= (p_action, v_from))
    AND (p_automatic OR NOT a.automatic)
    AND (v_since IS NULL OR a.at >= v_since) AND (v_until IS NULL OR a.at < v_until)
  ORDER BY CASE WHEN p_actor <> '' THEN split_part(split_part(a.actor, ' as ', 1), '@', 1) END DESC,
           CASE WHEN p_actor = '' AND p_action <> '' THEN a.action END DESC,
           a.audit_id DESC
  LIMIT p_limit;
END
$$;
