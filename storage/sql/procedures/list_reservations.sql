-- Reservations of a SKU, of a buyer, or of a buyer for a SKU ('' for all), in the states (NULL or empty for all), after
-- a place in the order: SKUs ascending; for each first the live ones by (user, ordinal), then the lapsed ones by (user,
-- id). That is the order of two indexes, and the cost of a page is bounded: it reads at most 10,000 reservations, and
-- looks into at most 1,000 SKUs, for a buyer's list without those that next_sku_of_buyer.sql can skip. So a page may be
-- short, or empty, and not the last.
--
-- If more may follow, the last row has reservation_id NULL and is the place to continue after: sku_id, lapsed, user_id,
-- ordinal, and rebooked_from as the id. A reservation that lapses between two pages may come twice, but is not missed.
CREATE OR REPLACE FUNCTION tranche.list_reservations(
  p_sku text, p_user text, p_states text[], p_after_sku text, p_after_lapsed boolean, p_after_user text,
  p_after_ordinal integer, p_after_id uuid, p_limit integer
)
RETURNS SETOF tranche.list_answer
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = tranche, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
DECLARE
  c_no_id    CONSTANT uuid := '00000000-0000-0000-0000-000000000000'::uuid;
  v_states   text[] := CASE WHEN cardinality(p_states) > 0 THEN p_states
                            ELSE ARRAY['PENDING', 'CONFIRMED', 'CANCELLED', 'EXPIRED'] END;
  -- The range of users; no user id is above the last value.
  v_last     text := CASE WHEN p_user = '' THEN repeat(chr(1114111), 32) ELSE p_user END;
  v_rows     refcursor;
  v_row      reservation%ROWTYPE;
  -- The SKUs that are left.
  v_from     text := greatest(p_after_sku COLLATE "C", p_sku COLLATE "C");
  v_to       text := CASE WHEN p_sku = '' THEN '~' ELSE p_sku END;
  v_sku      text;
  v_found    boolean;
  v_skus     integer := 1000;
  v_next     list_answer;
  -- The place to continue after.
  v_lapsed   boolean := p_after_lapsed;
  v_user     text := greatest(p_after_user COLLATE "C", p_user COLLATE "C");
  v_ordinal  integer := CASE WHEN v_user = p_after_user THEN p_after_ordinal ELSE 0 END;
  v_id       uuid := CASE WHEN v_user = p_after_user THEN coalesce(p_after_id, c_no_id) ELSE c_no_id END;
  v_left     integer := p_limit;
  v_looks    integer := 10000;
BEGIN
  LOOP
    -- The next SKU to look into.
    IF p_user <> '' AND p_sku = '' THEN
      SELECT n.sku_id, n.has_some, n.looks INTO v_sku, v_found, v_skus
      FROM next_sku_of_buyer(p_user, v_from, 'PENDING' = ANY (v_states), v_skus) AS n;
    ELSE
      SELECT x.sku_id INTO v_sku FROM sku x WHERE x.sku_id >= v_from AND x.sku_id <= v_to ORDER BY x.sku_id LIMIT 1;
      v_found := v_skus > 0;
      v_skus := v_skus - 1;
    END IF;
    EXIT WHEN v_sku IS NULL;
    IF v_sku <> p_after_sku THEN
      v_lapsed := false; v_user := p_user; v_ordinal := 0; v_id := c_no_id;
    END IF;
    IF NOT v_found THEN
      v_next.sku_id := v_sku; v_next.lapsed := v_lapsed; v_next.user_id := v_user; v_next.ordinal := v_ordinal;
      v_next.rebooked_from := v_id;
      RETURN NEXT v_next;
      RETURN;
    END IF;
    -- A space sorts before every character of an id.
    v_from := v_sku || ' ';
    CONTINUE WHEN NOT EXISTS (SELECT FROM sku x WHERE x.sku_id = v_sku AND x.whereabouts IN ('HERE', 'LEAVING'));

    LOOP
      IF v_lapsed THEN
        OPEN v_rows FOR
          SELECT r.* FROM reservation r
          WHERE r.sku_id = v_sku AND r.state IN ('CANCELLED', 'EXPIRED') AND r.user_id <= v_last
            AND (r.user_id, r.reservation_id) > (v_user, v_id) AND v_states && ARRAY['CANCELLED', 'EXPIRED']
          ORDER BY r.user_id, r.reservation_id;
      ELSE
        OPEN v_rows FOR
          SELECT r.* FROM reservation r
          WHERE r.sku_id = v_sku AND r.state IN ('PENDING', 'CONFIRMED') AND r.user_id <= v_last
            AND (r.user_id, r.ordinal) > (v_user, v_ordinal) AND v_states && ARRAY['PENDING', 'CONFIRMED']
          ORDER BY r.user_id, r.ordinal;
      END IF;
      LOOP
        FETCH v_rows INTO v_row;
        EXIT WHEN NOT FOUND;
        IF v_left = 0 OR v_looks = 0 THEN
          v_next.sku_id := v_sku; v_next.lapsed := v_lapsed; v_next.user_id := v_user;
          v_next.ordinal := v_ordinal; v_next.rebooked_from := v_id;
          RETURN NEXT v_next;
          RETURN;
        END IF;
        v_looks := v_looks - 1;
        v_user := v_row.user_id;
        v_ordinal := CASE WHEN v_lapsed THEN 0 ELSE v_row.ordinal END;
        v_id := CASE WHEN v_lapsed THEN v_row.reservation_id ELSE c_no_id END;
        CONTINUE WHEN v_row.state <> ALL (v_states);
        v_left := v_left - 1;
        RETURN QUERY
        SELECT x.reservation_id, x.sku_id, x.user_id, x.quantity, x.state, x.amount_minor, x.currency, x.incarnation_id,
               x.created_us, x.expires_us, x.finished_us, x.payment_reference, x.cancel_reason, x.extensions, x.revision,
               x.rebooked_from, v_row.ordinal, v_lapsed, x.order_reference, x.group_id
        FROM reservation_columns x WHERE x.reservation_id = v_row.reservation_id;
      END LOOP;
      CLOSE v_rows;
      EXIT WHEN v_lapsed;
      v_lapsed := true; v_user := p_user; v_ordinal := 0; v_id := c_no_id;
    END LOOP;
  END LOOP;
END
$$;
