-- What the connections that commit claims do, seen 100 times within 5 seconds, and how often it was seen. "Client
-- ClientRead" is one that waits for the node's next batch.
CREATE TEMPORARY TABLE seen (what text);
DO $$
BEGIN
  FOR i IN 1 .. 100 LOOP
    PERFORM pg_stat_clear_snapshot();
    INSERT INTO seen
    SELECT coalesce(a.wait_event_type || ' ' || a.wait_event, 'runs, or waits for a processor')
    FROM pg_stat_activity a WHERE a.application_name = 'tranched-commit';
    PERFORM pg_sleep(0.05);
  END LOOP;
END
$$;
SELECT s.what, count(*) FROM seen s GROUP BY s.what ORDER BY count(*) DESC;
