-- Of the groups of a hundred that form and of which some seats are paid: how many.
SELECT g.seats_taken FROM tranche.group_buy g WHERE g.offer_id = 'hundred' AND g.state = 'FORMING' AND g.seats_taken > 0
