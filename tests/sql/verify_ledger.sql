-- Each rule is broken by hand, and found.
\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 2), sku('radio', 5);
SELECT holder('tv', 6) AS node \gset
SELECT is(outcome(:node, 1, 'tv', 'u1'), 'CREATED');
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('') $$, $$ VALUES (NULL::text, NULL::text, '2 1') $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('radio') $$, $$ VALUES (NULL::text, NULL::text, '1 0') $$);
SELECT results_eq($$ SELECT * FROM tranche.verify_ledger('none') $$, $$ VALUES (NULL::text, NULL::text, '0 0') $$);

-- The rules that are violated while `p_damage` is done. It is undone at the end.
CREATE FUNCTION found(p_damage text, p_sku text DEFAULT '') RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  v_rules text[];
BEGIN
  BEGIN
    EXECUTE p_damage;
    SELECT array_agg(rule || ' ' || sku_id ORDER BY rule, sku_id) INTO v_rules
    FROM tranche.verify_ledger(p_sku) WHERE rule IS NOT NULL;
    RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
  EXCEPTION WHEN SQLSTATE 'P0099' THEN
    RETURN v_rules;
  END;
END $$;

SELECT is(found('SELECT 1'), NULL);
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1 WHERE sku_id = 'radio'$$), '{conservation radio}');
SELECT is(found($$UPDATE tranche.sku SET stock = stock + 1 WHERE sku_id = 'radio'$$, 'tv'), NULL, 'only the SKU asked for');
SELECT is(found($$UPDATE tranche.stock_slot SET remaining = remaining - 1 WHERE slot_no > 0$$),
          '{conservation tv,slice_spent tv}');
SELECT is(found($$UPDATE tranche.stock_slot SET remaining = remaining - 1 WHERE slot_no = 0 AND sku_id = 'tv'$$),
          '{conservation tv}');
SELECT is(found('DELETE FROM tranche.reservation'), '{conservation tv,slice_spent tv}');
SELECT is(found($$UPDATE tranche.reservation SET state = 'CANCELLED', finished_at = now()$$), '{conservation tv}');
SELECT is(found($$UPDATE tranche.reservation SET quantity = 2$$), '{conservation tv,slice_spent tv}');
SELECT is(found($$DELETE FROM tranche.stock_slot WHERE slot_no = 0 AND sku_id = 'radio'$$),
          '{conservation radio,pool_slot radio}');
SELECT is(found($$INSERT INTO tranche.stock_slot VALUES ('ghost', 0, NULL, 1, 1, 1)$$), '{slot_sku ghost}');
SELECT is(found($$UPDATE tranche.sku SET pool_waiting = NOT pool_waiting WHERE sku_id = 'tv'$$), '{pool_waiting tv}');
SELECT is(found($$UPDATE tranche.incarnation SET reclaimed_at = now()$$), '{live_holder tv}');
SELECT is(found($$DELETE FROM tranche.incarnation$$), '{live_holder tv}');
SELECT is(found($$UPDATE tranche.stock_slot SET version = 99 WHERE slot_no > 0$$), '{slot_version tv}');
SELECT is(found($$UPDATE tranche.reservation SET sku_id = 'ghost'$$),
          '{conservation tv,reservation_sku ghost,slice_spent tv}');
SELECT is(found($$INSERT INTO tranche.reservation
                  SELECT gen_random_uuid(), 'tv', 'u1', 2, 2, 'PENDING', 1, 'EUR', 0, now(), now();
                  UPDATE tranche.stock_slot SET remaining = remaining - 2 WHERE slot_no = 0 AND sku_id = 'tv'$$),
          '{user_limit tv}');
SELECT is((SELECT cardinality(found($$INSERT INTO tranche.stock_slot
                                      SELECT 'ghost' || i, 0, NULL, 1, 1, 1 FROM generate_series(1, 1500) AS i$$))), 1000,
          'no more than 1000');

-- The schema itself refuses what no procedure may do.
SELECT throws_ok($$UPDATE tranche.stock_slot SET remaining = -1$$, '23514', NULL, 'no slot below zero');
SELECT throws_ok($$UPDATE tranche.stock_slot SET holder = 1 WHERE slot_no = 0$$, '23514', NULL, 'nobody holds the pool');
SELECT throws_ok($$INSERT INTO tranche.reservation
                   SELECT gen_random_uuid(), 'tv', 'u1', 1, 1, 'PENDING', 1, 'EUR', 0, now(), now()$$, '23505', NULL,
                 'one live reservation per buyer and ordinal');
SELECT * FROM finish();
