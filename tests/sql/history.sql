-- mark_ledger and begin_history.
\ir helpers.psql
SELECT no_plan();

-- The count grows with every look, and the line stays.
SELECT line AS line, count AS count FROM tranche.mark_ledger() \gset
SELECT is((SELECT count FROM tranche.mark_ledger()), :count + 1::bigint);
SELECT is((SELECT line FROM tranche.mark_ledger()), :'line'::text);
SELECT matches(:'line'::text, '^[0-9a-f-]{36}/[0-9]+/[0-9A-F]{8}/[0-9]+/[0-9]+$');

SET ROLE tranche_node;
SELECT lives_ok('SELECT * FROM tranche.mark_ledger()', 'the servers may call it');
SELECT lives_ok($$ SELECT * FROM tranche.mark_ledger_after('another', 0) $$, 'the servers may call it');
RESET ROLE;

-- It counts on only from what it goes on from.
SELECT count AS count FROM tranche.mark_ledger() \gset
SELECT is((SELECT count FROM tranche.mark_ledger_after(:'line', :count)), :count + 1::bigint);
SELECT is((SELECT count FROM tranche.mark_ledger_after(:'line', :count)), :count + 2::bigint);
SELECT is((SELECT count FROM tranche.mark_ledger_after(:'line', :count + 3)), :count + 2::bigint, 'an older state');
SELECT is((SELECT count FROM tranche.mark_ledger_after('another', 0)), :count + 2::bigint, 'another line');
SELECT is((SELECT line FROM tranche.mark_ledger_after('another', 0)), :'line'::text);

-- Numbers of incarnations that others remember are not given out again, nor are those of a while after them.
SELECT node() AS a \gset
SELECT tranche.begin_history(:a + 5000, 'balancer') AS first \gset
SELECT is(:first::bigint, :a + 6000::bigint);
SELECT count AS begun FROM tranche.mark_ledger() \gset
SELECT is((:begun::bigint >> 40) % 4096, :first::bigint % 4096, 'named by its first incarnation');
SELECT is(:begun::bigint % (1::bigint << 40), 1::bigint, 'and counted from the start');
SELECT is((SELECT count FROM tranche.mark_ledger_after(:'line', :count)), :begun::bigint, 'no mark of the earlier one');
SELECT is((SELECT count FROM tranche.mark_ledger_after(:'line', :begun)), :begun + 1::bigint);
SELECT is(node(), :first::bigint, 'the first number of the new history');
SELECT tranche.begin_history(0, 'balancer') AS again \gset
SELECT cmp_ok(:again::bigint, '>', :first::bigint, 'repeating it leaves some out');
SELECT is(node(), :again::bigint);
SELECT is((SELECT array_agg(action || ' ' || actor ORDER BY audit_id) FROM tranche.audit_log
           WHERE action = 'begin_history'), ARRAY['begin_history balancer', 'begin_history balancer']);
SELECT throws_ok($$ SELECT tranche.begin_history((1::bigint << 61) + 1, 'mallory') $$, '22023');
SELECT is(node(), :again + 1::bigint);

SELECT * FROM finish();
