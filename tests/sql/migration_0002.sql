-- A ledger from before 0002 is taken over with what it holds.
\ir helpers.psql
SELECT no_plan();

DROP SCHEMA tranche CASCADE;
\ir ../../storage/sql/migrations/0001_ledger.sql
INSERT INTO tranche.sku (sku_id, title, price_minor, currency, stock, per_user_limit, hold_seconds)
VALUES ('full', 't', 1, 'EUR', 5, 1, 60), ('split', 't', 1, 'EUR', 5, 1, 60), ('none', 't', 1, 'EUR', 0, 1, 60);
INSERT INTO tranche.stock_slot (sku_id, slot_no, holder, allotted, remaining, version)
VALUES ('full', 0, NULL, 5, 5, 1), ('split', 0, NULL, 0, 0, 2), ('split', 1, 1, 5, 5, 2), ('none', 0, NULL, 0, 0, 1);
INSERT INTO tranche.incarnation (node_name, address) VALUES ('n', 'host:1');
INSERT INTO tranche.audit_log (actor, action, sku_id, before, after) VALUES ('alice', 'add_stock', 'full', '{}', '{}');
-- In one transaction, as the migrator does it.
BEGIN;
\ir ../../storage/sql/migrations/0002_quota_plane.sql
COMMIT;
SELECT results_eq($$ SELECT sku_id COLLATE "default", presplit, quota_frozen, pool_waiting FROM tranche.sku ORDER BY 1 $$,
                  $$ VALUES ('full', true, false, true), ('none', true, false, false), ('split', true, false, false) $$);
SELECT results_eq($$ SELECT draining FROM tranche.incarnation $$, $$ VALUES (false) $$);
SELECT results_eq($$ SELECT sku_id COLLATE "default", incarnation_id FROM tranche.audit_log $$,
                  $$ VALUES ('full', NULL::bigint) $$);
SELECT * FROM finish();
