-- Adds entries to the front door's access list, at most 1000, of distinct subjects; what is there about a subject is replaced. The
-- arrays are parallel. Counts what it did, and the entries that there are then. `outcome` is DONE, or FULL if there would be more than
-- 200,000; then it changes nothing. Entries that are there already as they should be change and audit nothing. If p_preview, it
-- only counts what it would do.
--
-- Entries whose time is over count as not there. Each call that changes something also marks some of them as removed, so that
-- readers forget them: twice as many as it may add.
CREATE OR REPLACE FUNCTION tranche.add_access_entries(p_kinds text[], p_values text[], p_allow boolean[], p_expires_us bigint[],
                                                      p_reasons text[], p_preview boolean, p_actor text)
RETURNS TABLE (outcome text, added bigint, replaced bigint, unchanged bigint, entries bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
-- A change that waits for a synchronous standby has the door locked: rather fail than hold a connection for as long.
SET lock_timeout = '2s'
AS $$
#variable_conflict use_column
DECLARE
  c_batch   constant integer := 1000;
  c_most    constant integer := 200000;
  v_now     timestamptz;
  v_before  bigint;
  v_more    bigint;
  v_new     bigint;
  v_other   bigint;
  v_same    bigint;
  v_changed bigint[];
  v_version bigint;
BEGIN
  IF cardinality(p_kinds) > c_batch
     OR cardinality(p_kinds) <> (SELECT count(DISTINCT (u.kind, u.value)) FROM unnest(p_kinds, p_values) AS u (kind, value)) THEN
    RAISE EXCEPTION 'at most % entries, of distinct subjects', c_batch USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Who only looks locks nothing.
  IF NOT p_preview THEN
    PERFORM FROM front_door FOR UPDATE;
  END IF;
  v_now := clock_timestamp();
  v_before := count_access_entries(v_now);
  SELECT count(*) FILTER (WHERE NOT x.there), count(*) FILTER (WHERE x.there AND x.differs),
         count(*) FILTER (WHERE x.there AND NOT x.differs), array_agg(x.nth ORDER BY x.nth) FILTER (WHERE NOT x.there OR x.differs),
         count(*) FILTER (WHERE x.lasts AND NOT x.there) - count(*) FILTER (WHERE x.there AND NOT x.lasts)
  INTO v_new, v_other, v_same, v_changed, v_more
  FROM (SELECT n.nth, e.kind IS NOT NULL AS there, n.expires_at IS NULL OR n.expires_at > v_now AS lasts,
               e.allow <> n.allow OR e.reason <> n.reason OR e.expires_at IS DISTINCT FROM n.expires_at AS differs
        FROM (SELECT u.nth, u.kind, u.value, u.allow, u.reason,
                     'epoch'::timestamptz + u.expires_us * interval '1 microsecond' AS expires_at
              FROM unnest(p_kinds, p_values, p_allow, p_expires_us, p_reasons) WITH ORDINALITY
                     AS u (kind, value, allow, expires_us, reason, nth)) AS n
        LEFT JOIN access_entry e ON e.kind = n.kind AND e.value = n.value AND NOT e.removed
                                AND (e.expires_at IS NULL OR e.expires_at > v_now)) AS x;
  IF v_more > 0 AND v_before + v_more > c_most THEN
    RETURN QUERY SELECT 'FULL'::text, 0::bigint, 0::bigint, 0::bigint, v_before;
    RETURN;
  END IF;
  IF v_changed IS NOT NULL AND NOT p_preview THEN
    v_version := next_front_version();
    INSERT INTO access_entry AS e (kind, value, allow, expires_at, reason, version, removed, changed_at, changed_by)
    SELECT u.kind, u.value, u.allow, 'epoch'::timestamptz + u.expires_us * interval '1 microsecond', u.reason, v_version, false, v_now,
           split_part(p_actor, E'\n', 1)
    FROM unnest(p_kinds, p_values, p_allow, p_expires_us, p_reasons) WITH ORDINALITY AS u (kind, value, allow, expires_us, reason, nth)
    WHERE u.nth = ANY (v_changed)
    ON CONFLICT (kind, value) DO UPDATE
    SET allow = excluded.allow, expires_at = excluded.expires_at, reason = excluded.reason, version = excluded.version,
        removed = false, changed_at = excluded.changed_at, changed_by = excluded.changed_by;
    UPDATE access_entry e SET removed = true, version = v_version
    FROM (SELECT o.kind, o.value FROM access_entry o
          WHERE NOT o.removed AND o.expires_at IS NOT NULL AND o.expires_at <= v_now
          ORDER BY o.expires_at LIMIT 2000) AS g
    WHERE e.kind = g.kind AND e.value = g.value;
    INSERT INTO audit_log (actor, action, sku_id, before, after)
    SELECT p_actor, 'add_access_entries', NULL, jsonb_build_object('entries', v_before),
           jsonb_build_object('added', v_new, 'replaced', v_other, 'entries', v_before + v_more,
                              'subjects', jsonb_agg(s.subject ORDER BY s.nth))
    FROM (SELECT u.nth, CASE WHEN u.allow THEN 'allow ' ELSE 'deny ' END
                        || CASE u.kind WHEN 'BUYER' THEN 'user ' ELSE 'address ' END || u.value AS subject
          FROM unnest(p_kinds, p_values, p_allow) WITH ORDINALITY AS u (kind, value, allow, nth)
          WHERE u.nth = ANY (v_changed[1:10])) AS s;
  END IF;
  RETURN QUERY SELECT 'DONE'::text, v_new, v_other, v_same, v_before + v_more;
END
$$;
