\ir helpers.psql
SELECT no_plan();

CREATE FUNCTION beat(n integer, p_kind text DEFAULT 'worker', p_details jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS
$$ SELECT tranche.beat(p_kind, uid(n), 'p' || n, '1.0', p_details) $$;
-- 'name/ended' of each, in the order of the list.
CREATE FUNCTION listed() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(name || '/' || ended, ' ' ORDER BY nth)
   FROM (SELECT name, ended, row_number() OVER () AS nth FROM tranche.list_heartbeats()) AS x $$;
CREATE FUNCTION age_beat(n integer, p_by interval) RETURNS void LANGUAGE sql AS
$$ UPDATE tranche.heartbeat SET beat_at = beat_at - p_by WHERE instance = uid(n) $$;

SELECT is(listed(), NULL);
SELECT beat(1), beat(2, 'balancer');
SELECT age_beat(1, '1 second');
SELECT is(listed(), 'p2/false p1/false', 'the latest first');
SELECT beat(1);
SELECT is(listed(), 'p1/false p2/false', 'one row for a run');
SELECT tranche.end_beat('balancer', uid(2));
SELECT is(listed(), 'p2/true p1/false');
SELECT lives_ok($$ SELECT tranche.end_beat('worker', uid(99)) $$, 'nobody');

-- What it says.
SELECT beat(3, 'worker', '{"expires": true, "retires": false, "sinks": ["b", "a"], "since_expiry_us": 1500, "later": [1]}');
SELECT results_eq($$ SELECT expires, retires, sinks, since_expiry_us, leads, since_led_us FROM tranche.list_heartbeats()
                     WHERE name = 'p3' $$,
                  $$ VALUES (true, false, 'a,b', 1500::bigint, false, NULL::bigint) $$);
SELECT ok(NOT draws, 'of a worker that does not say it') FROM tranche.list_heartbeats() WHERE name = 'p3';
SELECT beat(3, 'worker', '{"draws": true}');
SELECT ok(draws) FROM tranche.list_heartbeats() WHERE name = 'p3';
SELECT beat(3, 'worker', '{"expires": "yes", "retires": 1, "sinks": "a", "since_expiry_us": "soon", "since_led_us": -5, "since_round_us": 1e300}');
SELECT results_eq($$ SELECT expires, retires, sinks, since_expiry_us, since_led_us, since_round_us FROM tranche.list_heartbeats()
                     WHERE name = 'p3' $$,
                  $$ VALUES (false, false, NULL::text, NULL::bigint, 0::bigint, 1000000000000000::bigint) $$,
                  'what cannot be read is left out');
SELECT throws_ok($$ SELECT beat(4, 'nobody') $$, '23514');
SELECT throws_ok($$ SELECT beat(4, 'worker', '[]') $$, '23514');
SELECT throws_ok($$ SELECT beat(4, 'worker', jsonb_build_object('x', repeat('x', 5000))) $$, '23514');

-- It is bounded.
DELETE FROM tranche.heartbeat;
SELECT beat(1), beat(2, 'balancer');
SELECT age_beat(1, '25 hours'), age_beat(2, '25 hours');
SELECT beat(3);
SELECT is(listed(), 'p3/false p2/false', 'older ones of the kind are forgotten');
SELECT count(beat(n)) FROM generate_series(10, 130) AS n;
SELECT is(count(*), 100::bigint) FROM tranche.heartbeat WHERE kind = 'worker';
SELECT is(count(*), 1::bigint) FROM tranche.heartbeat WHERE instance = uid(130);

-- It does not wait for a standby.
SET synchronous_commit = on;
BEGIN;
SELECT beat(130);
SELECT is(current_setting('synchronous_commit'), 'off');
COMMIT;
SELECT is(current_setting('synchronous_commit'), 'on', 'only for its own transaction');

-- One that is locked delays no other.
SELECT open_session('other');
SELECT dblink_exec('other', 'BEGIN');
SELECT is(ask('other', format($$ SELECT name FROM tranche.heartbeat WHERE instance = %L FOR UPDATE $$, uid(31))), 'p31');
SET lock_timeout = '2s';
SELECT lives_ok($$ SELECT beat(131) $$, 'the oldest, which is to be forgotten');
SELECT dblink_exec('other', 'COMMIT');
SELECT beat(131);
SELECT is(count(*), 0::bigint, 'the next one forgets it') FROM tranche.heartbeat WHERE instance = uid(31);
SELECT * FROM finish();
