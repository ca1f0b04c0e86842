-- Ends those of the groups p_groups that form and in which nobody is any more: they have no member whose reservation is live. They are
-- FAILED, with finish time and reason. So a group seldom forms for nobody, and its opener may open another one once all have left.
--
-- Looks at c_most members, at most: a group with more of them, all of whom have left or lapsed, forms until its deadline. So does one whose
-- last hold has ended otherwise than by those who call this.
--
-- They are noted as unsettled: a join that is under way may add a hold that this transaction does not see. expire_groups waits for that join,
-- and ends what it finds.
--
-- For other procedures, which have locked the groups against payments and other ends, and have ended holds of their members.
CREATE OR REPLACE FUNCTION tranche.end_empty_groups(p_groups uuid[])
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
-- A generic plan made while a table was empty would read all of it later.
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
  c_most constant integer := 1000;
BEGIN
  UPDATE group_buy g
  -- kReasonOfEmptyGroup in storage/ledger/group_ledger.h
  SET state = 'FAILED', reason = 'nobody was in it any more', finished_at = clock_timestamp(), revision = g.revision + 1, unsettled = true
  FROM (SELECT u.id
        FROM (SELECT DISTINCT x.id FROM unnest(p_groups) AS x (id)) AS u
        -- By the key alone: the index of those that form could be read from end to end.
        CROSS JOIN LATERAL (SELECT x.state, x.seats_taken FROM group_buy x WHERE x.group_id = u.id OFFSET 0) AS y
        WHERE y.state = 'FORMING' AND y.seats_taken = 0
          AND NOT EXISTS (SELECT FROM
                            (SELECT m.reservation_id, row_number() OVER () AS nth FROM group_member m WHERE m.group_id = u.id
                             LIMIT c_most + 1) AS m
                          WHERE m.nth > c_most
                             OR (SELECT r.state FROM reservation r WHERE r.reservation_id = m.reservation_id AND r.group_id = u.id)
                                  IN ('PENDING', 'CONFIRMED'))) AS e
  WHERE g.group_id = e.id;
END
$$;
