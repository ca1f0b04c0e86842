-- Which claims of a batch cannot join their groups: their positions (from 1) and why, in the words of join_groups; `about`: of
-- TOO_MANY_GROUPS, who has them, 'user' or 'sku'; of BUSY, 'batch' if the answer depends on an earlier claim of the batch. Only a look: it
-- locks nothing. Not judged are claims whose id exists, and those of a SKU that is not here: commit_reservations has the answers to these.
--
-- p_held: groups that are locked, so that others are BUSY; NULL if they will be waited for.
--
-- Only what is committed is a reason to refuse. What an earlier claim of the batch would do first is none, since that one may be refused
-- itself: whose answer depends on that is BUSY, and is judged again when it is known. That is another claim of the same buyer for the
-- group, one that opens another group with the same offer, one that opens the group with another offer, and one that may join a group
-- only once the batch has opened it: because it must exist, or because its buyer has opened another one. So the first of a batch is judged
-- each time.
--
-- Whatever makes add_group_members fail, this refuses once it can be seen. A batch would be repeated in vain otherwise.
--
-- Transactions under way do not see each other: a SKU may have as many more groups as they open, at most 1,024 each.
CREATE OR REPLACE FUNCTION tranche.judge_joins(p_held uuid[], p_ids uuid[], p_skus text[], p_users text[], p_groups uuid[],
                                               p_offers text[])
RETURNS TABLE (idx integer, refusal text, about text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  -- kMostFormingGroups in storage/ledger/group_ledger.h
  c_most constant integer := 10000;
  v_now  timestamptz := clock_timestamp();
BEGIN
  RETURN QUERY
  WITH joins AS MATERIALIZED (
    SELECT c.idx::integer AS idx, c.id, c.sku_id, c.user_id, c.group_id, nullif(c.offer_id, '') AS offer_id, g.found,
           (g.found).group_id IS NULL AND coalesce(c.offer_id, '') <> '' AS opens
    FROM unnest(p_ids, p_skus, p_users, p_groups, p_offers) WITH ORDINALITY AS c (id, sku_id, user_id, group_id, offer_id, idx)
    -- Each by itself, here and below: a join could read all of a table.
    LEFT JOIN LATERAL (SELECT x AS found FROM group_buy x WHERE x.group_id = c.group_id OFFSET 0) AS g ON true
    WHERE c.group_id IS NOT NULL
      AND EXISTS (SELECT FROM sku s WHERE s.sku_id = c.sku_id AND s.whereabouts = 'HERE' OFFSET 0)
      AND NOT EXISTS (SELECT FROM reservation r WHERE r.reservation_id = c.id OFFSET 0)
  ), crowded AS MATERIALIZED (
    SELECT d.sku_id
    FROM (SELECT DISTINCT j.sku_id FROM joins j WHERE j.opens) AS d
    CROSS JOIN LATERAL (SELECT count(*) AS groups
                        FROM (SELECT FROM group_buy x WHERE x.sku_id = d.sku_id AND x.state = 'FORMING' LIMIT c_most) AS f) AS n
    WHERE n.groups = c_most
  ), judged AS MATERIALIZED (
    SELECT j.*,
           CASE
             -- Of a reservation that retention has dropped, which was another buyer's or group's.
             WHEN EXISTS (SELECT FROM group_member m WHERE m.reservation_id = j.id
                            AND (m.group_id <> j.group_id OR m.user_id <> j.user_id) OFFSET 0) THEN 'CONFLICT'
             WHEN j.opens THEN
               CASE
                 WHEN o.offer_id IS NULL THEN 'OFFER_NOT_FOUND'
                 WHEN o.closed_at IS NOT NULL THEN 'OFFER_CLOSED'
                 WHEN EXISTS (SELECT FROM group_buy x WHERE x.sku_id = j.sku_id AND x.offer_id = j.offer_id
                                AND x.opened_by = j.user_id AND x.state = 'FORMING' OFFSET 0) THEN 'TOO_MANY_GROUPS user'
                 WHEN j.sku_id IN (SELECT w.sku_id FROM crowded w) THEN 'TOO_MANY_GROUPS sku'
               END
             WHEN (j.found).group_id IS NULL OR (j.found).sku_id <> j.sku_id OR (j.found).offer_id <> j.offer_id
                  THEN 'GROUP_NOT_FOUND'
             WHEN (j.found).state = 'FILLED' AND (j.found).seats_taken = (j.found).seats THEN 'GROUP_FULL'
             WHEN (j.found).state <> 'FORMING' OR (j.found).deadline_at <= v_now THEN 'GROUP_OVER'
             WHEN EXISTS (SELECT FROM group_member m
                          CROSS JOIN LATERAL (SELECT FROM reservation r
                                              WHERE r.reservation_id = m.reservation_id AND r.group_id = m.group_id
                                                AND r.state IN ('PENDING', 'CONFIRMED') OFFSET 0) AS live
                          WHERE m.group_id = j.group_id AND m.user_id = j.user_id OFFSET 0) THEN 'ALREADY_IN_GROUP'
             WHEN j.group_id <> ALL (p_held) THEN 'BUSY'
           END AS refusal
    FROM joins j
    LEFT JOIN LATERAL (SELECT x.* FROM group_offer x
                       WHERE j.opens AND x.sku_id = j.sku_id AND x.offer_id = j.offer_id OFFSET 0) AS o ON true
  ), openings AS MATERIALIZED (
    SELECT j.group_id, min(j.idx) AS idx FROM judged j WHERE j.refusal IS NULL AND j.opens GROUP BY j.group_id
  ), ordered AS (
    SELECT j.idx,
           row_number() OVER same_group > 1
             OR (j.opens AND ((j.sku_id, j.offer_id) <> (first_value(j.sku_id) OVER opening, first_value(j.offer_id) OVER opening)
                              OR j.group_id <> first_value(j.group_id) OVER same_offer)) AS depends
    FROM judged j
    WHERE j.refusal IS NULL
    WINDOW same_group AS (PARTITION BY j.group_id, j.user_id ORDER BY j.idx),
           opening AS (PARTITION BY j.group_id ORDER BY j.idx),
           same_offer AS (PARTITION BY j.sku_id, j.offer_id, j.user_id, j.opens ORDER BY j.idx)
  )
  SELECT j.idx, CASE WHEN d.depends THEN 'BUSY' ELSE split_part(j.refusal, ' ', 1) END,
         CASE WHEN d.depends THEN 'batch' ELSE nullif(split_part(j.refusal, ' ', 2), '') END
  FROM judged j
  LEFT JOIN openings p ON p.group_id = j.group_id
  CROSS JOIN LATERAL (SELECT p.idx < j.idx AND j.refusal IN ('GROUP_NOT_FOUND', 'TOO_MANY_GROUPS user') AS depends) AS d
  WHERE j.refusal IS NOT NULL
  UNION ALL
  SELECT o.idx, 'BUSY', 'batch' FROM ordered o WHERE o.depends;
END
$$;
