-- The id of every reservation there is.
COPY (SELECT reservation_id FROM tranche.reservation) TO STDOUT;
