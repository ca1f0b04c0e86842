-- Groups of a hundred that form and of which some seats are paid, and how many are.
SELECT g.group_id, g.seats_taken FROM tranche.group_buy g WHERE g.offer_id = 'hundred' AND g.state = 'FORMING' AND g.seats_taken > 0
