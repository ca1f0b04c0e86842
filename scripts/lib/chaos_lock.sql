-- Blocks every change of a reservation until the connection ends.
BEGIN;
LOCK TABLE tranche.reservation IN EXCLUSIVE MODE;
