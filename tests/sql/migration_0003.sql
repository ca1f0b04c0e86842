-- A ledger from before 0003 is taken over with what it holds.
\ir helpers.psql
SELECT no_plan();

DROP SCHEMA tranche CASCADE;
\ir ../../storage/sql/migrations/0001_ledger.sql
-- In one transaction each, as the migrator does it.
BEGIN;
\ir ../../storage/sql/migrations/0002_quota_plane.sql
COMMIT;
INSERT INTO tranche.sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds, pool_waiting)
VALUES ('tv', 't', 1, 'EUR', 5, 1, 604800, true), ('none', 't', 1, 'EUR', 0, 1, 1, false);
INSERT INTO tranche.stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
VALUES ('tv', 0, NULL, 3, 3, 2), ('tv', 1, 1, 2, 0, 2), ('none', 0, NULL, 0, 0, 1);
INSERT INTO tranche.incarnation (node_name, address) VALUES ('n', 'host:1');
INSERT INTO tranche.reservation
SELECT uid(i), 'tv', 'u' || i, 1, 1, 'PENDING', 1, 'EUR', 1, now(), now() FROM generate_series(1, 2) AS i;
-- As in a real database: something depends on the view.
\ir ../../storage/sql/procedures/list_skus.sql
BEGIN;
\ir ../../storage/sql/migrations/0003_reservation_life.sql
COMMIT;
SELECT results_eq($$ SELECT sku_id COLLATE "default", max_extensions, max_hold_seconds, units_returned, whereabouts, other_shard
                     FROM tranche.sku ORDER BY 1 $$,
                  $$ VALUES ('none', 3, NULL::integer, false, 'HERE', NULL), ('tv', 3, NULL, false, 'HERE', NULL) $$);
SELECT results_eq($$ SELECT reservation_id, state, revision, extensions, finished_us, payment_reference, cancel_reason
                     FROM tranche.reservation_row ORDER BY 1 $$,
                  $$ VALUES (uid(1), 'PENDING', 1, 0, NULL::bigint, NULL, NULL), (uid(2), 'PENDING', 1, 0, NULL, NULL, NULL) $$);
SELECT results_eq($$ SELECT sku_id, unsold, holds_may_lapse, max_extensions FROM tranche.list_skus('', 9) $$,
                  $$ VALUES ('none' COLLATE "C", 0::bigint, false, 3), ('tv', 3, true, 3) $$);
SELECT results_eq('SELECT name COLLATE "default" FROM tranche.outbox_sink', $$ VALUES ('default') $$);
-- Sales pause for it, so it does not read all reservations again to validate what is known. New rows are checked.
SELECT is((SELECT count(*) FROM pg_constraint
           WHERE conrelid = 'tranche.reservation'::regclass AND contype = 'c' AND NOT convalidated), 4::bigint);
SELECT throws_ok($$ UPDATE tranche.reservation SET finished_at = now() $$, '23514');
SELECT throws_ok($$ UPDATE tranche.reservation SET state = 'CONFIRMED', finished_at = now(), payment_reference = '' $$, '23514');
SELECT * FROM finish();
