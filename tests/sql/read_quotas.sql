\ir helpers.psql
SELECT no_plan();

SELECT sku('b', 100, 1, 4), sku('a', 10);
SELECT holder('b', 30) AS x \gset
SELECT holder('b', 7) AS y \gset
SELECT is(outcome(:x, 1, 'b', 'u1'), 'CREATED');
SELECT results_eq($$ SELECT sku_id, quota_version, closed, holders, allotted, remaining, versions
                     FROM tranche.read_quotas('{b,none,a,b}') $$,
                  format($$ VALUES ('a', 1::bigint, false, '{0}'::bigint[], '{10}'::bigint[], '{10}'::bigint[],
                                    '{1}'::bigint[]),
                                   ('b', 3, false, '{0,%s,%s}', '{63,30,7}', '{63,29,7}', '{3,2,3}') $$, :x, :y),
                  'ascending, each once; the pool first; each slice has the version of its own last move');
SELECT is_empty($$ SELECT * FROM tranche.read_quotas('{none}') $$);
SELECT is_empty($$ SELECT * FROM tranche.read_quotas('{}') $$);

-- The columns before the slices are those of list_skus, in their order, except later ones: these are last, so
-- that a server of before reads what it knows by position.
SELECT tranche.set_quota_frozen('b', true, 'test');
SELECT results_eq($$ SELECT s::text FROM tranche.list_skus('', 9) AS s $$,
                  $$ SELECT row(q.sku_id, q.title, q.price_minor, q.currency, q.stock, q.per_user_limit, q.hold_seconds,
                                q.opens_us, q.closes_us, q.closed, q.slots_per_slice, q.unsold, q.quota_version,
                                q.holds_may_lapse, q.presplit, q.quota_frozen, q.max_extensions, q.max_hold_seconds,
                                q.paused, q.pause_reason, q.terms_version, q.claim_path)::text
                     FROM tranche.read_quotas('{a,b}') AS q $$);
SELECT results_eq($$ SELECT unsold, holds_may_lapse, presplit, quota_frozen FROM tranche.read_quotas('{b}') $$,
                  $$ VALUES (99::bigint, true, true, true) $$);
SELECT * FROM finish();
