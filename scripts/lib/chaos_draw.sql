-- The draw, of which there is one: its state, and how many of its entries have a reservation.
SELECT state, pending + confirmed FROM tranche.draw
