-- From now on transactions that sell commit with synchronous_commit = :mode. Front nodes insist on `on`, so a trigger
-- sets it within the transaction, for each statement once: for measurements only.
CREATE OR REPLACE FUNCTION public.benchmark_commit_mode() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', TG_ARGV[0], true);
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER benchmark_commit_mode BEFORE INSERT ON tranche.reservation
FOR EACH STATEMENT EXECUTE FUNCTION public.benchmark_commit_mode(:'mode');
