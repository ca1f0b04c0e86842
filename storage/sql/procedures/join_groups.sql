-- Commits a batch of claims of which some join groups, or open them, for one incarnation in one transaction. Set-based: a constant
-- number of statements however long the batch.
--
-- Parameters and answers are those of commit_reservations, which sells. In addition, per claim, the group (NULL: an ordinary claim)
-- and the offer that opens it unless it exists ('' or NULL: it must exist). A claim that joins may be answered, too:
--   GROUP_NOT_FOUND (none of this id, SKU and offer) GROUP_FULL (all seats are paid) GROUP_OVER (it does not form any more)
--   ALREADY_IN_GROUP (the buyer is a member with another reservation) OFFER_NOT_FOUND OFFER_CLOSED
--   TOO_MANY_GROUPS (the buyer has one of this offer that forms: `cancel_reason` is 'user'; or the SKU has 10,000: 'sku')
--   CONFLICT also for an id that was used without this group, but for a claim that was refused for good: such a row has no group
--   BUSY without p_wait also for a group that another transaction has locked; and always for a claim whose answer depends on what becomes
--   of an earlier one of the batch, see judge_joins: then `cancel_reason` is 'batch'
-- A created one has the offer's price, and lasts as long as the offer gives to pay, but no longer than the group may form.
--
-- What depends on the batch is not BUSY if its buyer was refused a unit of the SKU meanwhile, for a claim that asked for no more: whatever
-- the reason, a closed sale, their limit or the stock, it holds for this one, too. So a buyer whose claims all depend on each other, however
-- many, has an answer to all of them after two batches, or one more for each quantity that is smaller than one that was refused.
--
-- Claims that cannot join are refused before anything is sold, by a look. What the look said is checked again once the reservations
-- and groups are locked (add_group_members): if it is not so any more, the whole batch fails with serialization_failure, and whoever
-- repeats it gets the refusal. Without p_wait the groups are locked before the look, so that only a group that is opened, or
-- a buyer who joins twice, at the same time makes a batch fail.
--
-- Why it is safe:
--   one sale      commit_reservations sells, by its own fences; what is changed afterwards was inserted by this transaction
--   once a buyer  while a buyer is sold a unit, no other transaction sells them one of this SKU, and a group is of one SKU; besides,
--                 the key of group_member
--   ended groups  who ends a group either locks its row against joins, or notes it as unsettled, and only who has it locked against
--                 joins says that it is settled. So either this join is first, and its hold is there to be ended, or it finds the
--                 group over
--   moving SKUs   as in commit_reservations: with a slot locked, the SKU stays
--
-- Locks: those of commit_reservations; then new groups, ascending, and the groups FOR KEY SHARE, ascending. This lock stops neither
-- other joins nor payments, nor those who leave or cancel the group, which all change the row without its key. It stops only
-- expire_groups and retire_groups, which never wait for a group, nor for anything else once they have one locked. So nobody waits for
-- our groups, and who makes us wait for one waits for nobody: no cycle results. Without p_wait the groups come first, out of order, but
-- what is locked is skipped.
CREATE OR REPLACE FUNCTION tranche.join_groups(p_incarnation bigint, p_wait boolean, p_ids uuid[], p_skus text[], p_users text[],
                                               p_quantities integer[], p_references text[], p_groups uuid[], p_offers text[])
RETURNS SETOF tranche.claim_answer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_held       uuid[];  -- groups that were locked before the look
  v_refused    integer[];
  v_refusals   text[];
  v_abouts     text[];
  -- The claims that are left, and where they were in the batch.
  v_idx        integer[];
  v_ids        uuid[];
  v_skus       text[];
  v_users      text[];
  v_quantities integer[];
  v_references text[];
  v_groups     uuid[];
  v_offers     text[];
  v_answers    claim_answer[];
  -- Of what was created for groups.
  v_new        uuid[];
  v_members    text[];
  v_joined     uuid[];
  v_opening    text[];
  v_amounts    bigint[];
  v_expires_us bigint[];
BEGIN
  IF (SELECT count(DISTINCT id) FROM unnest(p_ids) AS id) <> cardinality(p_ids) THEN
    RAISE EXCEPTION 'reservation ids of a batch must be distinct' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF p_wait IS NOT TRUE THEN
    -- None that is due: whoever ends it passes over what is locked, and would do so for as long as others try to join.
    SELECT coalesce(array_agg(l.group_id), '{}') INTO v_held
    FROM (SELECT g.group_id FROM group_buy g WHERE g.group_id = ANY (p_groups) AND g.state = 'FORMING' AND g.deadline_at > clock_timestamp()
          ORDER BY g.group_id FOR KEY SHARE SKIP LOCKED) AS l;
  END IF;

  -- 1. Leave out what is refused.
  SELECT array_agg(j.idx), array_agg(j.refusal), array_agg(j.about) INTO v_refused, v_refusals, v_abouts
  FROM judge_joins(v_held, p_ids, p_skus, p_users, p_groups, p_offers) AS j;
  SELECT array_agg(c.idx::integer ORDER BY c.idx), array_agg(c.id ORDER BY c.idx), array_agg(c.sku_id ORDER BY c.idx),
         array_agg(c.user_id ORDER BY c.idx), array_agg(c.quantity ORDER BY c.idx), array_agg(c.reference ORDER BY c.idx),
         array_agg(c.group_id ORDER BY c.idx), array_agg(c.offer_id ORDER BY c.idx)
  INTO v_idx, v_ids, v_skus, v_users, v_quantities, v_references, v_groups, v_offers
  FROM unnest(p_ids, p_skus, p_users, p_quantities, p_references, p_groups, p_offers) WITH ORDINALITY
         AS c (id, sku_id, user_id, quantity, reference, group_id, offer_id, idx)
  LEFT JOIN unnest(v_refused) AS f (idx) ON f.idx = c.idx::integer
  WHERE f.idx IS NULL;

  -- 2. Sell.
  IF v_ids IS NOT NULL THEN
    SELECT array_agg(a) INTO v_answers
    FROM commit_reservations(p_incarnation, p_wait, v_ids, v_skus, v_users, v_quantities, v_references, v_groups) AS a;
  END IF;

  -- 3. Make members of those that were created for groups.
  SELECT array_agg(c.id ORDER BY c.idx), array_agg(c.user_id ORDER BY c.idx), array_agg(c.group_id ORDER BY c.idx),
         array_agg(c.offer_id ORDER BY c.idx)
  INTO v_new, v_members, v_joined, v_opening
  FROM unnest(v_ids, v_users, v_groups, v_offers) WITH ORDINALITY AS c (id, user_id, group_id, offer_id, idx)
  JOIN unnest(v_answers) AS a ON a.idx = c.idx::integer
  WHERE a.outcome = 'CREATED' AND c.group_id IS NOT NULL;
  IF v_new IS NOT NULL THEN
    SELECT array_agg(m.id), array_agg(m.amount_minor), array_agg(m.expires_us) INTO v_new, v_amounts, v_expires_us
    FROM add_group_members(v_held, v_new, v_members, v_joined, v_opening) AS m;
  END IF;

  RETURN QUERY
  WITH unsold AS MATERIALIZED (
    SELECT DISTINCT ON (c.sku_id, c.user_id) c.sku_id, c.user_id, c.quantity, a.outcome, a.slice_version, a.cancel_reason
    FROM unnest(v_answers) AS a
    JOIN unnest(v_skus, v_users, v_quantities) WITH ORDINALITY AS c (sku_id, user_id, quantity, nth) ON c.nth::integer = a.idx
    WHERE a.outcome NOT IN ('CREATED', 'REPLAYED', 'CONFLICT', 'BUSY')
    ORDER BY c.sku_id, c.user_id, c.quantity
  )
  SELECT f.idx, coalesce(u.outcome, f.refusal), n.state, n.amount_minor, n.currency, n.incarnation_id, n.created_us, n.expires_us,
         u.slice_version, n.finished_us, n.payment_reference, CASE WHEN u.outcome IS NULL THEN f.about ELSE u.cancel_reason END,
         n.extensions, n.revision, n.rebooked_from
  FROM unnest(v_refused, v_refusals, v_abouts) AS f (idx, refusal, about)
  JOIN unnest(p_ids, p_skus, p_users, p_quantities) WITH ORDINALITY AS c (id, sku_id, user_id, quantity, nth) ON c.nth::integer = f.idx
  -- A repeat whose first try has been committed since the look is no other claim of its buyer.
  LEFT JOIN unsold u ON f.about = 'batch' AND u.sku_id = c.sku_id AND u.user_id = c.user_id AND u.quantity <= c.quantity
    AND NOT EXISTS (SELECT FROM reservation r WHERE r.reservation_id = c.id OFFSET 0)
  LEFT JOIN claim_answer n ON false;
  RETURN QUERY
  SELECT c.idx, a.outcome, a.state, coalesce(m.amount_minor, a.amount_minor), a.currency, a.incarnation_id, a.created_us,
         coalesce(m.expires_us, a.expires_us), a.slice_version, a.finished_us, a.payment_reference, a.cancel_reason, a.extensions,
         a.revision, a.rebooked_from
  FROM unnest(v_answers) AS a
  JOIN unnest(v_idx, v_ids) WITH ORDINALITY AS c (idx, id, nth) ON c.nth::integer = a.idx
  LEFT JOIN unnest(v_new, v_amounts, v_expires_us) AS m (id, amount_minor, expires_us) ON m.id = c.id;
END
$$;
