\ir helpers.psql
SELECT no_plan();

SELECT results_eq($$ SELECT frozen, changed_us, changed_by FROM tranche.read_cluster_settings() $$,
                  $$ VALUES (false, NULL::bigint, NULL::text) $$);
SELECT lives_ok($$ SELECT tranche.set_cluster_frozen(false, 'alice') $$);
SELECT lives_ok($$ SELECT tranche.set_cluster_frozen(true, 'alice') $$);
SELECT lives_ok($$ SELECT tranche.set_cluster_frozen(true, 'bob') $$);
SELECT results_eq($$ SELECT frozen, changed_us > 0, changed_by FROM tranche.read_cluster_settings() $$,
                  $$ VALUES (true, true, 'alice') $$, 'once more changes nothing');
SELECT lives_ok($$ SELECT tranche.set_cluster_frozen(false, E'carol\nall is well') $$);
SELECT is((SELECT changed_by FROM tranche.read_cluster_settings()), 'carol', 'without the reason');
SELECT results_eq($$ SELECT actor, action, sku_id, before, after FROM tranche.audit_log ORDER BY audit_id $$,
                  $$ VALUES ('alice', 'freeze_cluster', NULL::text COLLATE "C", '{"frozen": false}'::jsonb,
                             '{"frozen": true}'::jsonb),
                            ('carol', 'thaw_cluster', NULL, '{"frozen": true}', '{"frozen": false}') $$);
SELECT * FROM finish();
