-- Makes members of reservations that this transaction has just created, in the order of their batch; opens the groups that are not
-- there. Returns what each costs and until when it may be paid: the row has that, too.
--
-- Fails with serialization_failure if anything is not as judge_joins has seen it: a group is over or another's, or the buyer has
-- become a member otherwise. p_held: groups that were locked before that look; NULL if none.
--
-- For join_groups, which says why its locks close no cycle. A group of p_held may be filled since: then its last payment comes after
-- this join, whose hold expire_groups ends as it ends all others of the group.
CREATE OR REPLACE FUNCTION tranche.add_group_members(p_held uuid[], p_ids uuid[], p_users text[], p_groups uuid[], p_offers text[])
RETURNS TABLE (id uuid, amount_minor bigint, expires_us bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz;
  v_ids     uuid[];
  v_amounts bigint[];
  v_expires timestamptz[];
BEGIN
  INSERT INTO group_buy (group_id, sku_id, offer_id, seats, opened_by, created_at, deadline_at)
  SELECT f.group_id, o.sku_id, o.offer_id, o.seats, f.user_id, now(), now() + make_interval(secs => o.open_seconds)
  FROM (SELECT DISTINCT ON (c.group_id) c.*
        FROM unnest(p_ids, p_users, p_groups, p_offers) WITH ORDINALITY AS c (id, user_id, group_id, offer_id, nth)
        WHERE c.offer_id <> '' AND NOT EXISTS (SELECT FROM group_buy g WHERE g.group_id = c.group_id OFFSET 0)
        ORDER BY c.group_id, c.nth) AS f
  CROSS JOIN LATERAL (SELECT r.sku_id FROM reservation r WHERE r.reservation_id = f.id OFFSET 0) AS s
  CROSS JOIN LATERAL (SELECT x.* FROM group_offer x WHERE x.sku_id = s.sku_id AND x.offer_id = f.offer_id OFFSET 0) AS o
  ORDER BY f.group_id
  ON CONFLICT DO NOTHING;
  PERFORM FROM group_buy g WHERE g.group_id = ANY (p_groups) ORDER BY g.group_id FOR KEY SHARE;
  v_now := clock_timestamp();

  -- A statement of its own: it sees what others committed before they released the groups.
  WITH joined AS (
    UPDATE reservation r
    SET group_id = g.group_id, amount_minor = o.price_minor * r.quantity,
        expires_at = least(now() + make_interval(secs => o.pay_seconds), g.deadline_at)
    FROM unnest(p_ids, p_groups, p_offers) AS c (id, group_id, offer_id)
    CROSS JOIN LATERAL (SELECT x.* FROM group_buy x WHERE x.group_id = c.group_id OFFSET 0) AS g
    CROSS JOIN LATERAL (SELECT x.* FROM group_offer x WHERE x.sku_id = g.sku_id AND x.offer_id = g.offer_id OFFSET 0) AS o
    WHERE r.reservation_id = c.id AND g.sku_id = r.sku_id AND g.offer_id = coalesce(nullif(c.offer_id, ''), g.offer_id)
      AND (g.group_id = ANY (p_held) OR (g.state = 'FORMING' AND g.deadline_at > v_now))
    RETURNING r.reservation_id, r.group_id, r.user_id, r.amount_minor, r.expires_at
  ), members AS (
    INSERT INTO group_member AS m (group_id, user_id, reservation_id, joined_at)
    SELECT j.group_id, j.user_id, j.reservation_id, now() FROM joined j ORDER BY j.group_id, j.user_id
    -- A membership that has lapsed is taken over.
    ON CONFLICT (group_id, user_id) DO UPDATE
    SET reservation_id = excluded.reservation_id, joined_at = excluded.joined_at, seat_no = NULL, payment_reference = NULL,
        paid_at = NULL
    WHERE NOT EXISTS (SELECT FROM reservation r WHERE r.reservation_id = m.reservation_id AND r.group_id = m.group_id
                        AND r.state IN ('PENDING', 'CONFIRMED') OFFSET 0)
    RETURNING m.reservation_id
  )
  SELECT array_agg(j.reservation_id), array_agg(j.amount_minor), array_agg(j.expires_at) INTO v_ids, v_amounts, v_expires
  FROM joined j JOIN members m ON m.reservation_id = j.reservation_id;
  IF v_ids IS NULL OR cardinality(v_ids) < cardinality(p_ids) THEN
    RAISE EXCEPTION 'a group has changed while it was joined' USING ERRCODE = 'serialization_failure';
  END IF;

  RETURN QUERY
  SELECT j.id, j.amount_minor, (date_part('epoch', j.expires_at) * 1000000)::bigint
  FROM unnest(v_ids, v_amounts, v_expires) AS j (id, amount_minor, expires_at);
END
$$;
