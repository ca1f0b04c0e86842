-- Ranks, and what winners get.
\ir helpers.psql
\ir draw_helpers.psql
SELECT no_plan();

-- The rank is HMAC-SHA256: computed elsewhere, of entry 6.
SELECT sku('tv', 10);
SELECT new_draw('tv', 3), put_entries('tv', 12), step('tv', 'CLOSE'), seal('tv', 12), step('tv', 'SEED');
SELECT is(rank_next('tv', 5), 'DONE 5 f');
SELECT is(rank_next('tv', 6), 'DONE 6 f');
SELECT is((SELECT outcome FROM tranche.award_draw('tv', 1, 10)), 'STATE', 'some have no rank yet');
SELECT is(rank_next('tv', 1), 'DONE 1 t');
SELECT is(rank_next('tv', 1), 'DONE 0 t', 'again');
SELECT is((SELECT encode(rank, 'hex') FROM tranche.draw_rank WHERE entry_id = uid(6)),
          '02ee540e3a2c5a8ace9bae882e3b0ad0c07f315563a0c3902f2fc81820897573');
SELECT is((SELECT string_agg(num(entry_id)::text, ' ' ORDER BY rank) FROM tranche.draw_rank), '6 10 12 4 8 7 5 11 1 9 3 2');
SELECT throws_ok($$ SELECT rank_next('tv', 50001) $$, '22023');

-- The lowest first, as pending reservations out of the pool.
SELECT is(award('tv', 2), '2+0 open 1 left t waits  finished f');
SELECT is(award('tv', 2), '1+0 open 0 left t waits  finished f');
SELECT is(award('tv', 2), '0+0 open 0 left t waits  finished f');
SELECT is(awards('tv'), '6 PENDING, 10 PENDING, 12 PENDING');
SELECT is(slices('tv'), '0:7');
SELECT is(version('tv'), 3::bigint, 'each call that takes units is a version');
SELECT results_eq($$ SELECT user_id COLLATE "default", quantity, state, incarnation_id, amount_minor, ordinal,
                            expires_at - created_at FROM tranche.reservation ORDER BY user_id $$,
                  $$ VALUES ('u10', 1, 'PENDING', 0::bigint, 500::bigint, 1, interval '60 s'), ('u12', 1, 'PENDING', 0, 500, 1, interval '60 s'),
                            ('u6', 1, 'PENDING', 0, 500, 1, interval '60 s') $$);
SELECT is((SELECT cutoff FROM tranche.get_draw('tv', 0)), (SELECT encode(rank, 'hex') FROM tranche.draw_rank WHERE entry_id = uid(12)));
-- Their buyers are not there to hear an answer: a message tells each of it.
SELECT is((SELECT count(*) FROM tranche.outbox WHERE kind = 'reservation.awarded'), 3::bigint);
SELECT results_eq($$ SELECT kind, revision, payload - 'occurred_at' - 'expires_at', payload ? 'expires_at' FROM tranche.outbox
                     WHERE reservation_id = (of_buyer('tv', 'u10'))[1] $$,
                  $$ SELECT 'reservation.awarded', 1,
                       jsonb_build_object('kind', 'reservation.awarded', 'reservation_id', (of_buyer('tv', 'u10'))[1], 'revision', 1,
                         'sku_id', 'tv', 'user_id', 'u10', 'quantity', 1, 'amount_minor', 500, 'currency', 'EUR', 'state', 'PENDING',
                         'draw_number', 1, 'entry_id', uid(10)), true $$);
SELECT is((SELECT concat_ws(' ', place, award, reservation_id) FROM tranche.find_draw_entry('tv', 0, 'u10')),
          '2 PENDING ' || (of_buyer('tv', 'u10'))[1]);
SELECT is((SELECT place FROM tranche.find_draw_entry('tv', 0, 'u4')), NULL);
SELECT conserved();

-- One pays, one gives up: the next by rank gets the place.
SELECT is(confirm(of_buyer('tv', 'u6')), '{DONE CONFIRMED 2}');
SELECT is(cancel(of_buyer('tv', 'u10')), '{DONE CANCELLED 2}');
SELECT is(award('tv'), '1+0 open 0 left t waits  finished f');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 PENDING, 4 PENDING');
SELECT is(counts('tv'), 'DRAWN 2 1 1');

-- Who has bought elsewhere meanwhile has their limit.
SELECT holder('tv', 1) AS node \gset
SELECT is(outcome(:node, 50, 'tv', 'u8'), 'CREATED');
SELECT is(cancel(of_buyer('tv', 'u4')), '{DONE CANCELLED 2}');
SELECT is(award('tv'), '1+1 open 0 left t waits  finished f', 'the next one is asked at once');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 PENDING, 4 LAPSED, 8 PASSED_OVER, 7 PENDING');

-- What stops it: nothing is noted, and it goes on later.
SELECT is(cancel(of_buyer('tv', 'u7')), '{DONE CANCELLED 2}');
SELECT tranche.set_sku_paused('tv', true, '', 'x');
SELECT is(award('tv'), '0+0 open 1 left t waits PAUSED finished f');
SELECT tranche.set_sku_paused('tv', false, '', 'x');
UPDATE tranche.sku SET opens_at = now() + interval '1 hour' WHERE sku_id = 'tv';
SELECT is(award('tv'), '0+0 open 1 left t waits NOT_OPEN finished f');
UPDATE tranche.sku SET opens_at = '-infinity', closes_at = now() WHERE sku_id = 'tv';
SELECT is(award('tv'), '0+0 open 1 left t waits CLOSED finished f');
UPDATE tranche.sku SET closes_at = 'infinity' WHERE sku_id = 'tv';
SELECT tranche.move_units('tv', ARRAY[:node], ARRAY[7], NULL, 'test');
SELECT is(slices('tv'), format('0:0 %s:7', :node));
SELECT is(award('tv'), '0+0 open 1 left t waits SHORT finished f');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 PENDING, 4 LAPSED, 8 PASSED_OVER, 7 LAPSED');
SELECT tranche.move_units('tv', ARRAY[:node], ARRAY[-7], NULL, 'test');
SELECT is(award('tv'), '1+0 open 0 left t waits  finished f');
SELECT conserved();

-- All places are paid.
SELECT is(confirm(of_buyer('tv', 'u12') || of_buyer('tv', 'u5')), '{DONE CONFIRMED 2,DONE CONFIRMED 2}');
SELECT is(award('tv'), '0+0 open 0 left t waits  finished t');
SELECT is(award('tv'), '0+0 open 0 left f waits  finished t', 'again');
SELECT is(counts('tv'), 'FINISHED 0 3 4');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 CONFIRMED, 4 LAPSED, 8 PASSED_OVER, 7 LAPSED, 5 CONFIRMED');
SELECT is((SELECT string_agg(place::text, ' ') FROM tranche.list_draw_awards('tv', 1, 2, 2)), '3 4', 'a page');
SELECT conserved();

-- It is deleted a few rows at a time: 7 awards, 12 ranks, 12 entries, a chunk, a part of the tally, and the draw.
SELECT is(step('tv', 'REMOVE'), 'DONE FINISHED');
SELECT is(tranche.purge_draws(10), n) FROM (VALUES (1, 10::bigint), (2, 10), (3, 10), (4, 4), (5, 0)) AS x (nth, n) ORDER BY nth;
SELECT is((SELECT count(*) FROM tranche.draw), 0::bigint);
SELECT conserved();

-- The pool is empty: it is to be announced.
SELECT sku('radio', 2);
SELECT is(drawn('radio', 2, 3), 'DONE 3 t');
SELECT is(award('radio'), '2+0 open 0 left t waits  finished f');
SELECT is((SELECT pool_waiting || ' ' || units_returned FROM tranche.sku WHERE sku_id = 'radio'), 'false true');
SELECT conserved();
-- An operator finishes it. What becomes of the winners is still noted.
SELECT is(step('radio', 'FINISH'), 'DONE FINISHED');
SELECT is(step('radio', 'FINISH'), 'DONE FINISHED');
SELECT is(step('radio', 'CANCEL'), 'STATE FINISHED');
SELECT is(confirm(of_buyer('radio', 'u1')), '{DONE CONFIRMED 2}');
SELECT is(cancel(of_buyer('radio', 'u3')), '{DONE CANCELLED 2}');
SELECT is(tranche.purge_draws(10), 0::bigint);
SELECT is(awards('radio'), '1 CONFIRMED, 3 LAPSED');
SELECT is(counts('radio'), 'FINISHED 0 1 1');
SELECT is(award('radio'), '0+0 open 0 left f waits  finished t', 'nobody else wins');

-- Who pays late while the draw goes on is paid back, although units are there: the place is for the next in order. When it is over,
-- they get what they have won.
SELECT sku('phone', 5);
SELECT is(drawn('phone', 1, 3), 'DONE 3 t');
SELECT is(award('phone'), '1+0 open 0 left t waits  finished f');
UPDATE tranche.reservation SET created_at = created_at - interval '1 h', expires_at = now() - interval '1 s' WHERE sku_id = 'phone';
SELECT is(expire(), '1 false');
SELECT is((SELECT string_agg(outcome, ' ') FROM tranche.confirm_late((of_buyer('phone', 'u1'))[1], 'late', 500, 'EUR')), 'PAID_UNFULFILLED');
SELECT is(award('phone'), '1+0 open 0 left t waits  finished f');
SELECT (of_buyer('phone', 'u3'))[1] AS second \gset
UPDATE tranche.reservation SET created_at = created_at - interval '1 h', expires_at = now() - interval '1 s'
WHERE reservation_id = :'second';
SELECT is(expire(), '1 false');
SELECT is(step('phone', 'FINISH'), 'DONE FINISHED');
SELECT is((SELECT string_agg(outcome, ' ') FROM tranche.confirm_late(:'second', 'late', 500, 'EUR')), 'REBOOKED');
SELECT is(tranche.purge_draws(10), 0::bigint);
SELECT is(awards('phone'), '1 LAPSED, 3 CONFIRMED');
SELECT is(counts('phone'), 'FINISHED 0 1 1');
SELECT conserved();

-- No entry is left, and none is pending.
SELECT sku('lamp', 5);
SELECT is(drawn('lamp', 3, 2), 'DONE 2 t');
SELECT is(award('lamp'), '2+0 open 1 left f waits  finished f');
SELECT cancel(of_buyer('lamp', 'u1') || of_buyer('lamp', 'u2'));
SELECT is(award('lamp'), '0+0 open 3 left f waits  finished t');
SELECT conserved();

-- Several units for each, with a limit above 1; the last of them do not fit.
SELECT sku('cam', 5, 4);
SELECT holder('cam', 1) AS node \gset
SELECT is(outcome(:node, 60, 'cam', 'u10'), 'CREATED');
SELECT is(drawn('cam', 3, 12, 2), 'DONE 12 t');
SELECT is(award('cam'), '2+0 open 1 left t waits SHORT finished f');
SELECT is((SELECT string_agg(user_id || ':' || quantity || ':' || ordinal, ' ' ORDER BY user_id, ordinal) FROM tranche.reservation
           WHERE sku_id = 'cam'), 'u10:1:1 u10:2:2 u6:2:1');
-- Nobody may have two any more: that passes nobody over.
UPDATE tranche.sku SET per_user_limit = 1 WHERE sku_id = 'cam';
SELECT is(award('cam'), '0+0 open 1 left t waits QUANTITY_ABOVE_LIMIT finished f');
UPDATE tranche.sku SET per_user_limit = 4 WHERE sku_id = 'cam';
SELECT tranche.add_stock('cam', 1, 'x');
SELECT is(award('cam'), '0+0 open 1 left t waits SHORT finished f', 'one unit is not enough');
SELECT tranche.add_stock('cam', 1, 'x');
SELECT is(award('cam'), '1+0 open 0 left t waits  finished f');
SELECT conserved();

-- Reservations that retention has archived or dropped.
INSERT INTO tranche.reservation_archive (reservation_id, sku_id, user_id, quantity, state, amount_minor, currency, incarnation_id,
                                         created_at, expires_at, revision, extensions, finished_at, payment_reference)
VALUES (uid(70), 'cam', 'u6', 2, 'CONFIRMED', 1000, 'EUR', 0, now(), now(), 2, 0, now(), 'p');
UPDATE tranche.draw_award a SET reservation_id = uid(69 + a.place::integer) FROM tranche.draw d
WHERE d.draw_id = a.draw_id AND d.sku_id = 'cam' AND a.place < 3;
SELECT is(award('cam'), '0+0 open 1 left t waits SHORT finished f');
SELECT is(awards('cam'), '6 CONFIRMED, 10 LAPSED, 12 PENDING', 'no paid one was removed, so what was dropped has lapsed');
UPDATE tranche.draw_award a SET reservation_id = uid(75) FROM tranche.draw d
WHERE d.draw_id = a.draw_id AND d.sku_id = 'cam' AND a.place = 3;
-- The sale was over, and was opened again since.
INSERT INTO tranche.retired_units (sku_id, incarnation_id, units, live_units, reservations) VALUES ('cam', 0, 2, 2, 1);
SELECT is(award('cam'), '0+0 open 1 left t waits SHORT finished f');
SELECT is(awards('cam'), '6 CONFIRMED, 10 LAPSED, 12 CONFIRMED', 'it may have been paid');

-- Each award costs looks at its own rows, however many entries there are.
SELECT sku('big', 100);
SELECT new_draw('big', 100), put_entries('big', 20000);
UPDATE tranche.draw SET state = 'SEEDED', closed_at = now(), entries = 20000, merkle_root = sha256(''), seed = decode(seed(), 'hex'),
                        seeded_at = now()
WHERE sku_id = 'big';
SELECT is(rank_next('big'), 'DONE 20000 t');
ANALYZE tranche.draw_entry, tranche.draw_rank, tranche.reservation;
SELECT cmp_ok(rows_read('draw_entry', $$ SELECT award('big', 100) $$), '<', 1000::bigint);
SELECT is(counts('big'), 'DRAWN 100 0 0');
SELECT cmp_ok(rows_read('draw_entry', $$ SELECT awards('big') $$), '<', 1000::bigint);
SELECT cmp_ok(rows_read('draw_entry', $$ SELECT enter('big', 'u1', 'u2', 'x') $$), '<', 100::bigint);

-- The parts of procedures are not for servers.
SET ROLE tranche_node;
SELECT throws_ok('SELECT * FROM tranche.book_awards(1, 1)', '42501');
SELECT throws_ok('SELECT tranche.settle_awards(1, 1)', '42501');
SELECT throws_ok('SELECT * FROM tranche.draw_entry', '42501');
SELECT lives_ok($$ SELECT * FROM tranche.list_draws('') $$);
RESET ROLE;
SELECT * FROM finish();
