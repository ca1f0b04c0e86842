\ir helpers.psql
\ir outbox_helpers.psql
SELECT no_plan();

SELECT results_eq($$ SELECT read_only, overdue, oldest_overdue_us, refunds, stranded_units, skus, open_skus, sold_out_skus
                     FROM tranche.ledger_health(10) $$,
                  $$ VALUES (false, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint) $$, 'nothing is there');
SELECT is(sync_needed, 0) FROM tranche.ledger_health(10);
SELECT results_eq($$ SELECT names, tranche.awaited_standbys(names)
                     FROM unnest(ARRAY['', ' ', 'a', '*', 'a, b', '"2 (x)"', '2 (a, b)', 'FIRST 2 (a, b, c)', 'first 1 (a)',
                                       ' Any 3(a, b, c)']) WITH ORDINALITY AS n (names, place)
                     ORDER BY place $$,
                  $$ VALUES ('', 0), (' ', 0), ('a', 1), ('*', 1), ('a, b', 1), ('"2 (x)"', 1), ('2 (a, b)', 2),
                            ('FIRST 2 (a, b, c)', 2), ('first 1 (a)', 1), (' Any 3(a, b, c)', 3) $$);
SELECT results_eq($$ SELECT standbys, sync_standbys FROM tranche.ledger_health(10) $$, $$ VALUES (0::bigint, 0::bigint) $$);
SELECT cmp_ok(connections_used, '>', 0) FROM tranche.ledger_health(10);
SELECT cmp_ok(database_bytes, '>', 1000000::bigint) FROM tranche.ledger_health(10);
BEGIN READ ONLY;
SELECT is(read_only, true) FROM tranche.ledger_health(10);
COMMIT;

-- Overdue holds, counted up to the bound.
SELECT sku('tv', 10), sku('radio', 2), sku('old', 2);
SELECT tranche.close_sku('old', 'test');
SELECT holder('tv', 10) AS node \gset
SELECT outcome(:node, n, 'tv', 'u' || n) FROM generate_series(1, 5) AS n;
SELECT is(overdue, 0::bigint) FROM tranche.ledger_health(10);
SELECT make_due(1, 2, 3);
SELECT results_eq($$ SELECT overdue, round(oldest_overdue_us / 1000000.0) FROM tranche.ledger_health(10) $$,
                  $$ VALUES (3::bigint, 1::numeric) $$);
SELECT is(overdue, 2::bigint, 'so many or more') FROM tranche.ledger_health(2);
SELECT move_sku('tv', 'LEAVING');
SELECT is(overdue, 0::bigint, 'the shard that has it in the end expires them') FROM tranche.ledger_health(10);
SELECT move_sku('tv', 'HERE');
SELECT results_eq($$ SELECT sku_id, pending, more, overdue FROM tranche.unpaid_holds('{tv,radio,none}', 100) ORDER BY sku_id $$,
                  $$ VALUES ('none', 0::bigint, false, 0::bigint), ('radio', 0, false, 0), ('tv', 5, false, 3) $$);
SELECT results_eq($$ SELECT pending, more FROM tranche.unpaid_holds('{tv}', 4) $$, $$ VALUES (4::bigint, true) $$);
SELECT confirm(uids(4));
SELECT is(pending, 4::bigint, 'without what is paid') FROM tranche.unpaid_holds('{tv}', 100);
SELECT cmp_ok(rows_read('reservation', $$ SELECT * FROM tranche.unpaid_holds('{radio}', 100) $$), '<=', 12::bigint,
              'holds of other SKUs are not read, but those that are overdue');

-- SKUs.
SELECT results_eq($$ SELECT skus, open_skus, sold_out_skus FROM tranche.ledger_health(10) $$, $$ VALUES (3::bigint, 2::bigint, 0::bigint) $$);
SELECT tranche.reduce_stock('radio', 2, 'test');
SELECT is(sold_out_skus, 1::bigint) FROM tranche.ledger_health(10);

SELECT tranche.set_sku_paused('tv', true, '', 'test');
SELECT results_eq($$ SELECT skus, open_skus, sold_out_skus, paused_skus FROM tranche.ledger_health(10) $$,
                  $$ VALUES (3::bigint, 1::bigint, 1::bigint, 1::bigint) $$);
SELECT tranche.set_sku_paused('tv', false, '', 'test');
SELECT results_eq($$ SELECT frozen, frozen_us, frozen_by FROM tranche.ledger_health(10) $$,
                  $$ VALUES (false, NULL::bigint, NULL::text) $$);
SELECT tranche.set_cluster_frozen(true, 'alice');
SELECT results_eq($$ SELECT frozen, frozen_us, frozen_by FROM tranche.ledger_health(10) $$,
                  $$ SELECT true, c.changed_us, 'alice' FROM tranche.read_cluster_settings() AS c $$);
SELECT tranche.set_cluster_frozen(false, 'alice');

-- Refunds.
INSERT INTO tranche.late_payment (reservation_id, payment_reference, sku_id, amount_minor, currency, outcome, received_at, refunded_at)
VALUES (uid(1), 'p1', 'tv', 1, 'EUR', 'PAID_UNFULFILLED', now() - interval '1 hour', NULL),
       (uid(2), 'p2', 'tv', 1, 'EUR', 'PAID_UNFULFILLED', now() - interval '2 hours', now());
SELECT results_eq($$ SELECT refunds, round(oldest_refund_us / 3600000000.0) FROM tranche.ledger_health(10) $$,
                  $$ VALUES (1::bigint, 1::numeric) $$, 'what was refunded does not wait');

-- Units of an incarnation that has ended. Nothing leaves such, so it is made by hand.
SELECT is(stranded_units, 0::bigint) FROM tranche.ledger_health(10);
UPDATE tranche.incarnation SET reclaimed_at = now() - interval '2 hours' WHERE incarnation_id = :node;
SELECT is(stranded_units, 5::bigint) FROM tranche.ledger_health(10);
SELECT node() AS late \gset
SELECT results_eq(format($$ SELECT incarnation_id, ended_us IS NULL, units FROM tranche.gone_incarnations('{}', 10)
                            WHERE incarnation_id >= %s $$, :node),
                  format($$ VALUES (%s::bigint, true, 0::bigint), (%s, false, 5) $$, :late, :node), 'the newest first');
SELECT is_empty(format($$ SELECT * FROM tranche.gone_incarnations('{%s}', 10) WHERE incarnation_id = %s $$, :late, :late),
                'that one serves');
UPDATE tranche.stock_slot SET remaining = 0 WHERE holder = :node;
SELECT is(stranded_units, 0::bigint) FROM tranche.ledger_health(10);

-- Messages.
DELETE FROM tranche.outbox;
SELECT message(1, 2), message(2, 2), message(3, 2);
SELECT failed(3, 2, NULL);
SELECT results_eq($$ SELECT sink, pending, dead, round(oldest_us / 1000000.0) FROM tranche.outbox_health(10) $$,
                  $$ VALUES ('default', 2::bigint, 1::bigint, 3600::numeric) $$);
SELECT results_eq($$ SELECT pending, dead FROM tranche.outbox_health(1) $$, $$ VALUES (1::bigint, 1::bigint) $$);

-- Pools.
SELECT sku('cam', 7);
SELECT results_eq($$ SELECT sku_id, units FROM tranche.waiting_pools(10) $$, $$ VALUES ('cam', 7::bigint) $$);
SELECT version AS before FROM tranche.waiting_pools(10) \gset
SELECT tranche.add_stock('cam', 1, 'test');
SELECT cmp_ok(version, '>', :before::bigint) FROM tranche.waiting_pools(10);

-- As the servers' role.
SET ROLE tranche_node;
SELECT lives_ok($$ SELECT * FROM tranche.ledger_health(10) $$);
SELECT lives_ok($$ SELECT * FROM tranche.gone_incarnations('{}', 10) $$);
SELECT throws_ok($$ SELECT * FROM tranche.ended_holders(10) $$, '42501');
RESET ROLE;
SELECT * FROM finish();
