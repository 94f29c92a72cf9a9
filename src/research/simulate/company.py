"""Every number that was chosen for the generated company.

Who its customers are, what makes them leave, what keeps them. The papers below give the form; the
sizes are chosen so that 2.5 to 4 % of the customers under contract leave in a month and a good
model with a horizon of 90 days reaches an AUC between 0.75 and 0.82.

References
----------
Allison, P. D. (1982). Discrete-time methods for the analysis of event histories. Sociological
    Methodology 13, 61-98. doi:10.2307/270718. Competing causes within a month: one multinomial
    logit.
Ascarza, E. and Hardie, B. G. S. (2013). A joint model of usage and churn in contractual settings.
    Marketing Science 32(4), 570-590. doi:10.1287/mksc.2013.0786. Usage and renewal reflect one
    latent variable that evolves over time.
Ascarza, E. (2018). Retention futility: targeting high-risk customers might be ineffective. Journal
    of Marketing Research 55(1), 80-98. doi:10.1509/jmr.16.0163. Who is at risk and who responds to
    an offer are different people.
Ascarza, E., Iyengar, R. and Schleicher, M. (2016). The perils of proactive churn prevention using
    plan recommendations. Journal of Marketing Research 53(1), 46-60. doi:10.1509/jmr.13.0483.
    Contact can provoke churn of customers who would have stayed.
Braun, M. and Schweidel, D. A. (2011). Modeling customer lifetimes with multiple causes of churn.
    Marketing Science 30(5), 881-902. doi:10.1287/mksc.1110.0665. Causes compete, and the company
    can influence only some of them.
Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. Journal of Interactive
    Marketing 21(1), 76-90. doi:10.1002/dir.20074. Cohorts retain better with age because their
    customers differ.
"""

LAST_DAY = "2025-12-31"  # the history ends here, whatever its length
# months after the history through which latent paths go on, so that the remaining value is known
BEYOND = 12

# What makes customers leave

HAZARD = {  # driver: (voluntary, involuntary), coefficients of the two logits against staying
    # a new, attentive customer with a monthly contract and without trouble
    "base": (-5.3, -6.4),
    # engagement below its own moving average, 0 to 2
    "fall": (2.0, 0.0),
    # months since the last purchase beyond the customer's own usual interval, saturating, 0 to 1
    "gap": (1.2, 0.0),
    # complaints never resolved, fading, 0 to 2
    "grievance": (1.8, 0.0),
    # the interaction: a grievance has more effect on those whose engagement falls
    "fall_grievance": (0.8, 0.0),
    # fee per use on an S curve times the sensitivity of the income band, 0 to 1.3; cards of those
    # for whom the service is expensive are not renewed either
    "dear": (4.4, 1.0),
    # recent rise of the fee, in tenths of it, fading, 0 to 2.5
    "rise": (0.35, 0.0),
    # the interaction: a rise has more effect on those for whom the service is expensive
    "rise_dear": (0.6, 0.0),
    # recent poor deliveries, fading, 0 to 2
    "delivery": (0.9, 0.0),
    # recent service contacts, fading, 0 to 3
    "contact": (0.4, 0.0),
    # the reversal: customers of 60 and more are kept by the same contacts
    "contact_older": (-1.0, 0.0),
    # last month's payment failed, 0 or 1
    "failed": (0.0, 4.6),
    # log(1 + years under contract)
    "tenure": (-1.3, -0.5),
    # latent, standard normal
    "loyalty": (-0.5, 0.0),
    # an annual contract outside its renewal month, 0 or 1
    "bound": (-3.5, 0.0),
    # an annual contract in its renewal month, 0 or 1
    "renewal": (2.2, 0.0),
}
REASONS = {  # stated reason: the drivers whose contributions make it likely, and a constant weight
    "price": (("dear", "rise", "rise_dear"), 0.0),
    "no longer needed": (("fall", "gap"), 0.0),
    "service": (("grievance", "fall_grievance"), 0.0),
    "delivery": (("delivery",), 0.0),
    "moved away": ((), 0.6),
}
DEAR_FEE = 13.0  # fee per use at which "dear" is one half
DEAR_STEEPNESS = 4.0  # of the curve around it
# share that is left after a month
GRIEVANCE_KEPT = 0.85
CONTACT_KEPT = 0.5
DELIVERY_KEPT = 0.6
RISE_KEPT = 0.6
OLDER = 60  # from this age on service contacts keep customers

# Engagement, in log uses

SINK = 0.025  # chance in a month that engagement begins to sink
RECOVER = 0.08  # chance in a month that it stops sinking
SINK_STEP = -0.35  # a month's step while it sinks
PULL = 0.15  # share of the distance to the home level that a month closes
NOISE = 0.12  # standard deviation of a month's step
RECOVERED = -0.3  # distance from the home level at which a recovery counts as over
CLIMB = 0.9  # new customers begin this far below their home level
CLIMB_MONTHS = 2.5  # months in which that distance falls to 1/e
WARM_UP = 3  # months before the history in which engagement already drifts
# true stages by the age of a contract in calendar months
INTRODUCTION_MONTHS = 3
GROWTH_MONTHS = 6
WON_BACK_MONTHS = 6

# Customers who join, return, or never use the service

# share of customers who pay and never use the service; no driver of price or engagement moves them
QUIET = 0.09
QUIET_ORDERS = 0.1  # ... and who buy this share of what others buy
RETURNER = 0.2  # share of customers who come back after an end if the data run long enough
PAUSE_DAYS = 30  # ... after this many days at least
PAUSE_MEAN = 90  # ... and on average this many more
BEFORE = 0.45  # share who joined before the history
BEFORE_MEAN = 600  # ... this many days before on average
BEFORE_MOST = 1800  # ... and this many at most
# ... and how much more engaged and loyal they are: the others of their cohorts have left
SURVIVORS = {"home": 0.35, "loyalty": 0.4}

# Plans and prices

PLANS = {  # share, list price a month, uses in a month
    "basic": (0.50, 9.0, 1.7),
    "plus": (0.35, 19.0, 3.0),
    "pro": (0.15, 39.0, 5.1),
}
ANNUAL = 0.35  # share of contracts with a term of twelve months; the others run from month to month
DISCOUNTS = {0.0: (0.7,), 0.1: (0.2,), 0.25: (0.1,)}  # lasting, by share
INTRODUCTORY = 0.2  # discount of the first twelve months
INTRODUCTORY_SHARE = 0.3  # share of customers who get it
# chance of another plan at a renewal: upwards for those who use more than at home, else downwards
PLAN_CHANGE = 0.08
PRICE_RISE = 0.2  # the trap: by how much list prices rise
RISE_MONTHS = 5  # ... on the first day of this month from the end

# Traits

TRAITS = {  # value: (share, shift of the customer's home level of engagement)
    "gender": {"female": (0.48, 0.0), "male": (0.47, 0.0), "other": (0.05, 0.0)},
    "age_band": {
        "18-29": (0.24, 0.15),
        "30-44": (0.33, 0.1),
        "45-59": (0.25, -0.1),
        "60-84": (0.18, -0.2),
    },
    "income_band": {"low": (0.3, 0.0), "middle": (0.48, 0.0), "high": (0.22, 0.1)},
    "region": {"north": (0.3, 0.0), "south": (0.25, 0.0), "east": (0.2, -0.1), "west": (0.25, 0.0)},
    "acquisition_channel": {
        "web": (0.45, 0.05),
        "partner": (0.2, -0.45),
        "shop": (0.2, 0.0),
        "referral": (0.15, 0.3),
    },
    "payment_method": {"card": (0.5, 0.0), "direct debit": (0.35, 0.0), "invoice": (0.15, 0.0)},
}
AGE_UNKNOWN = 0.04
SENSITIVITY = {"low": (1.3,), "middle": (1.0,), "high": (0.6,)}  # weight of "dear" by income band
LANGUAGES = {
    "English": (0.44,),
    "Polish": (0.16,),
    "Russian": (0.15,),
    "Korean": (0.12,),
    "Chinese": (0.13,),
}
BILINGUAL = 0.08  # share who mix two languages in one text
ANSWERS = {0.0: (0.3,), 0.08: (0.5,), 0.2: (0.2,)}  # chance of an answer in a month, by share
REFERRALS = 0.012  # referrals in a month
REFERRALS_BY_LOYALTY = 0.9  # how steeply they grow with loyalty, in logs

# Payments, service and deliveries

# chance that a month's payment fails
FAILS = {"card": (0.025,), "direct debit": (0.005,), "invoice": (0.05,)}
FAILS_AGAIN = 0.45  # the same after a failed one
BILLING_CONTACT = 0.5  # failed payments that lead to a contact
ASKED = 0.14  # other service contacts in a month, times the customer's own trouble
COMPLAINTS = {  # share of a topic's contacts that complain
    "technical": 0.4,
    "how to": 0.25,
    "account": 0.4,
    "billing": 0.1,
    "delivery": 0.6,
}
NEVER_RESOLVED = 0.35  # complaints that nobody resolves
NEVER_RESOLVED_OTHER = 0.03  # other contacts that nobody resolves
CHANNELS = {"email": (0.5,), "chat": (0.3,), "phone": (0.2,)}

PRODUCTS = {  # share, price
    "storage": (0.3, 4.0),
    "template pack": (0.25, 9.0),
    "training": (0.1, 29.0),
    "printed book": (0.15, 15.0),
    "gift card": (0.2, 25.0),
}
QUANTITIES = {1: (0.8,), 2: (0.15,), 3: (0.05,)}
ORDERS = 0.38  # orders in a month at engagement 0
ORDERS_BY_LEVEL = 0.6  # how steeply they grow with engagement, in logs
LONGEST_INTERVAL = 12.0  # months; who buys more rarely is never late
# share of deliveries that go wrong
POOR = {"north": (0.07,), "south": (0.07,), "east": (0.2,), "west": (0.07,)}
POOR_CONTACT = 0.5  # poor deliveries that lead to a contact
POOR_RETURN = 0.4  # poor deliveries that are returned
OTHER_RETURN = 0.05  # other orders that are returned
USES = {"read": (0.6,), "create": (0.3,), "share": (0.1,)}

# Feedback

KINDS = {"csat": (0.55,), "nps": (0.3,), "review": (0.15,)}
SCORE_MAX = {"csat": (5,), "nps": (10,), "review": (5,)}
WRITES = {"csat": (0.35,), "nps": (0.25,), "review": (0.95,)}  # share of answers with a text
NO_SCORE = 0.06  # share of the texts that come without a score
SAME_TONE = 0.78  # chance that a piece of a text has the tone of the whole

# Campaigns

ARMS = ("control", "discount", "call")
# arm: what it adds to the voluntary logit in its three months, by driver on its first day; contact
# reminds quiet customers that they pay
ARM_EFFECTS = {
    "discount": {"base": -0.25, "dear": -2.0, "fall": 0.6, "quiet": 2.0},
    "call": {"base": -0.3, "grievance": -1.8, "fall": -1.2, "quiet": 2.0},
}
EFFECT_MONTHS = 3
CAMPAIGNS = {  # the share of each arm by plan; None: agents chose, see CHOSEN
    "autumn letter": dict.fromkeys(PLANS, (1 / 3, 1 / 3, 1 / 3)),
    "plan care": {"basic": (0.5, 0.3, 0.2), "plus": (0.4, 0.3, 0.3), "pro": (0.2, 0.4, 0.4)},
    "agent calls": None,
    "summer test": dict.fromkeys(PLANS, (0.25, 0.5, 0.25)),
}
CHOSEN = {  # the trap: logit of each arm against control, by driver
    "discount": {"base": -1.6, "dear": 1.6},
    "call": {"base": -1.9, "grievance": 1.5, "fall": 1.8},
}
CALL_COST = 6.0  # EUR a call
DISCOUNT_SHARE = 0.25  # of three monthly fees

# Margin

MARGIN_FEE = 0.7  # share of the fee that remains
MARGIN_ORDERS = 0.3  # share of order amounts that remains
DISCOUNT_A_YEAR = 0.1  # rate at which value is discounted

# Traps

LATE = 0.03  # share of rows that arrive late
LATE_DAYS = 30  # ... by how many days at most
TWICE = 0.005  # share of orders and uses that are there twice
OFFERED = 0.8  # share of voluntary leavers with a retention_offer_code
OFFER_CODES = {"KEEP10": (1 / 3,), "KEEP20": (1 / 3,), "PAUSE3": (1 / 3,)}
OUTAGE_REGION = "west"  # no uses of one region ...
OUTAGE_DAYS = 10  # ... for so many days
NO_INCOME_CHANNEL = "partner"  # no income_band from one channel ...
NO_INCOME_MONTHS = 3  # ... for so many months of joining
HOSTILE_NAMES = 0.01  # share of names that are hostile
HOSTILE_TEXTS = 0.02  # share of texts that are hostile
