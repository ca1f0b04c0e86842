-- One look at a ledger that sells: the time, where its write-ahead log ends, the records, full pages and flushes of
-- that, the calls of commit_reservations (counted since benchmark_path_count_on.sql), the bytes of the reservations and
-- of their indexes, and how many units are sold. The counts of flushes, records and calls may be a second old.
SELECT extract(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn() - '0/0'::pg_lsn, w.wal_records, w.wal_fpi,
       w.wal_sync,
       (SELECT coalesce(sum(f.calls), 0) FROM pg_stat_user_functions f
        WHERE f.schemaname = 'tranche' AND f.funcname = 'commit_reservations'),
       pg_relation_size('tranche.reservation'), pg_indexes_size('tranche.reservation'),
       (SELECT sum(s.stock) FROM tranche.sku s) - (SELECT sum(sl.remaining) FROM tranche.stock_slot sl)
FROM pg_stat_wal w
