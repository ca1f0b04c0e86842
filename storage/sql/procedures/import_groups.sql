-- Inserts a page of export_groups, of the same p_part: each row replaces an earlier copy of itself, and what is in its way, such as another
-- group that the same buyer has opened with the offer and that forms no more there. What is in the way has changed since it was copied, and
-- comes again. So does a member whose group is not here yet, since both are new: it is left out. If a group of another SKU has the same
-- id, an error names it: unique_violation.
CREATE OR REPLACE FUNCTION tranche.import_groups(p_sku_id text, p_token uuid, p_part text, p_page text)
RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
  v_offers  group_offer[];
  v_groups  group_buy[];
  v_members group_member[];
  v_other     uuid;
  v_other_sku text;
BEGIN
  PERFORM check_arriving(p_sku_id, p_token);
  -- Ids first, as in import_reservations: a join would be planned for a table that was empty a moment ago.
  IF p_part = 'OFFERS' THEN
    v_offers := p_page::group_offer[];
    DELETE FROM group_offer o
    WHERE o.sku_id = p_sku_id AND o.offer_id = ANY (ARRAY(SELECT p.offer_id FROM unnest(v_offers) AS p));
    INSERT INTO group_offer SELECT p.* FROM unnest(v_offers) AS p WHERE p.sku_id = p_sku_id;
  ELSIF p_part = 'GROUPS' THEN
    v_groups := p_page::group_buy[];
    DELETE FROM group_buy g
    WHERE g.sku_id = p_sku_id AND g.group_id = ANY (ARRAY(
      SELECT p.group_id FROM unnest(v_groups) AS p
      UNION ALL
      SELECT same.group_id
      FROM unnest(v_groups) AS p
      CROSS JOIN LATERAL (SELECT x.group_id FROM group_buy x
                          WHERE x.sku_id = p_sku_id AND x.offer_id = p.offer_id AND x.opened_by = p.opened_by AND x.state = 'FORMING'
                          OFFSET 0) AS same
      WHERE p.state = 'FORMING'));
    SELECT same.group_id, same.sku_id INTO v_other, v_other_sku
    FROM unnest(v_groups) AS p
    CROSS JOIN LATERAL (SELECT x.group_id, x.sku_id FROM group_buy x WHERE x.group_id = p.group_id OFFSET 0) AS same
    WHERE same.sku_id <> p_sku_id
    LIMIT 1;
    IF v_other IS NOT NULL THEN
      RAISE EXCEPTION 'group % of SKU % has the id of one of SKU %, which is here', v_other, p_sku_id, v_other_sku
        USING ERRCODE = 'unique_violation';
    END IF;
    INSERT INTO group_buy SELECT p.* FROM unnest(v_groups) AS p WHERE p.sku_id = p_sku_id;
  ELSE
    v_members := p_page::group_member[];
    DELETE FROM group_member m
    WHERE m.reservation_id = ANY (ARRAY(
      SELECT same.reservation_id
      FROM unnest(v_members) AS p
      CROSS JOIN LATERAL (SELECT x.reservation_id FROM group_member x WHERE x.group_id = p.group_id AND x.user_id = p.user_id
                          UNION ALL
                          SELECT x.reservation_id FROM group_member x WHERE x.group_id = p.group_id AND x.seat_no = p.seat_no
                          OFFSET 0) AS same));
    INSERT INTO group_member
    SELECT p.* FROM unnest(v_members) AS p
    WHERE EXISTS (SELECT FROM group_buy g WHERE g.group_id = p.group_id AND g.sku_id = p_sku_id OFFSET 0);
  END IF;
END
$$;
