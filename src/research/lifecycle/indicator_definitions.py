"""What each indicator means: the table ``DEFINITIONS``, one record per indicator, and nothing else.

Three modules share the indicators: this one defines them in text, for contractual and for
non-contractual studies; ``indicator_glossary`` fills a study's days and currency into these texts;
``indicator_terms`` computes the numerator and denominator of every customer that they define.

The definitions are exact: SQL written from them and from ``indicator_glossary.describe_terms``
gives the same numbers. Days are whole days; a window ``(a, b]`` opens after day a and includes
day b.
"""

from dataclasses import dataclass

from research.panel.periods import YEAR_DAYS

KINDS = ("contractual", "non_contractual")
Template = str | dict[str, str]  # one text, or one by kind of study


@dataclass(frozen=True)
class Definition:
    """One indicator.

    Attributes
    ----------
    title, definition, numerator, denominator, unit : text, with spans of days and the currency in
        braces, see ``indicator_glossary.fill_in``
    better : whether "lower" or "higher" values are better
    needs : tables and columns without which it is not measured, by kind of study
    lookback : how far back it looks into which source, as (source, days); days are a number or the
        name of one of ``periods.name_spans``
    estimate : how value and interval are estimated: ratio, share (the numerator is a part of the
        denominator), total, restricted_mean, median_days or median_hours
    charted : whether consecutive windows don't overlap, so that a control chart may take the values
        as independent
    scale : factor of the ratio, 100 for points
    rows : kind of rows that it needs
    kinds : kinds of study to which it applies
    """

    title: str
    definition: Template
    numerator: Template
    denominator: Template
    unit: str
    better: str
    needs: dict[str, tuple[str, ...]]
    lookback: tuple[tuple[str, str | int], ...]
    estimate: str = "share"
    charted: bool | dict[str, bool] = True
    scale: float = 1
    rows: str = ""
    kinds: tuple[str, ...] = KINDS


def _same(*needs: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(KINDS, needs)


_LEAVE = {"contractual": ("contracts.ended_at",), "non_contractual": ("orders",)}
_FEES = {
    "contractual": ("contracts.ended_at", "contracts.monthly_fee"),
    "non_contractual": ("orders.amount",),
}
_AT_START = (("spells", "window"),)
_START = "customers at the start"
_YEARLY_SPEND = (
    "spend, returns taken off, in the {year} days up to the start (since the first day observed,"
    " where that is later)"
)
_FEE_TEXT = (
    "The fee on a day is the sum of monthly_fee over the terms that run on it; customers for whom"
    " one of the fees needed is not recorded don't count."
)
_FIRST_SPELLS = "first spells of at least one day begun by T, observed for at least one day"
_TENURE = {
    "contractual": (
        "The days that a customer's first spell lasts on average, of its first {year}: the area"
        " below the Kaplan-Meier curve up to that day (restricted mean)."
    ),
    "non_contractual": (
        "The days that a customer's first spell lasts on average, of its first {year}, with the"
        " {inactive} days of inactivity that end it: the area below the Kaplan-Meier curve up to"
        " that day (restricted mean)."
    ),
}
_LATE_ENTRY = (
    "Spells that run on T are censored on T. A spell is observed from the latest of its beginning,"
    " data_start and the day on which the row it begins with was known (late entry); where fewer"
    " than 10 are at risk at some early tenure, the curve begins after the last such tenure and the"
    " average is of those who stayed that long (empty, with the median, where that is more than"
    " half a year; the average is empty too where nobody was observed for {year} days)."
)
_TENURE_ENTRY = {
    "contractual": _LATE_ENTRY,
    "non_contractual": (
        f"{_LATE_ENTRY} Customers who joined before data_start and whose first recorded purchase"
        " lies on or after it don't count."
    ),
}
DEFINITIONS: dict[str, Definition] = {
    "customer_churn_rate": Definition(
        title="Customer churn rate",
        definition=(
            "The share of the customers at the start whose spell ended in the window, whether or"
            " not they came back."
        ),
        numerator="customers at the start whose spell ended in the window",
        denominator=_START,
        unit="share",
        better="lower",
        needs=_LEAVE,
        lookback=_AT_START,
    ),
    "revenue_churn_rate": Definition(
        title="Revenue churn rate",
        definition={
            "contractual": (
                "The share of the monthly fees at the start that was lost in the window, by"
                f" leaving or by lower fees. {_FEE_TEXT}"
            ),
            "non_contractual": (
                "The share of the yearly spend of the customers at the start that belonged to those"
                " whose spell ended in the window."
            ),
        },
        numerator={
            "contractual": (
                "fees at the start of those who left in the window, plus fee at the start less fee"
                " on T of the others where that is positive"
            ),
            "non_contractual": (
                f"{_YEARLY_SPEND} of customers at the start whose spell ended in the window"
            ),
        },
        denominator={
            "contractual": "monthly fees on the start of the customers at the start",
            "non_contractual": f"{_YEARLY_SPEND} of customers at the start",
        },
        unit="share",
        better="lower",
        needs=_FEES,
        lookback=_AT_START,
    ),
    "net_revenue_retention": Definition(
        title="Net revenue retention",
        definition={
            "contractual": (
                "What the customers at the start pay on T against what they paid on the start:"
                " leaving and lower fees take away, higher fees add, new customers don't count; it"
                f" can exceed 100 %. {_FEE_TEXT}"
            ),
            "non_contractual": (
                "What customers who bought in the {retention} days up to T − {retention} spent in"
                " the {retention} days since, against what they spent in those before, returns"
                " taken off; new customers don't count, and it can exceed 100 %."
            ),
        },
        numerator={
            "contractual": "monthly fees on T of the customers at the start",
            "non_contractual": (
                "spend in (T − {retention}, T] of customers with a purchase in (T − {retention2}, T"
                " − {retention}]"
            ),
        },
        denominator={
            "contractual": "monthly fees on the start of the customers at the start",
            "non_contractual": "spend in (T − {retention2}, T − {retention}] of the same customers",
        },
        unit="share",
        better="higher",
        needs=_FEES,
        lookback=(("revenue", "revenue"),),
        estimate="ratio",
        charted={"contractual": True, "non_contractual": False},
    ),
    "retention_rate": Definition(
        title="Retention rate over {retention} days",
        definition=(
            "The share of the customers on T − {retention} days who are customers on T, those who"
            " left and came back included."
        ),
        numerator="customers on T − {retention} days who are customers on T",
        denominator="customers on T − {retention} days",
        unit="share",
        better="higher",
        needs=_LEAVE,
        lookback=(("spells", "retention"),),
        charted=False,
    ),
    "retention_time": Definition(
        title="Retention time within the first year",
        definition={kind: f"{_TENURE[kind]} {_TENURE_ENTRY[kind]}" for kind in KINDS},
        numerator="first spells that ended by T",
        denominator=_FIRST_SPELLS,
        unit="days",
        better="higher",
        needs=_LEAVE,
        lookback=_AT_START,
        estimate="restricted_mean",
        charted=False,
    ),
    "retention_time_median": Definition(
        title="Median retention time",
        definition=(
            "The day by which half of the first spells have ended, on the same Kaplan-Meier curve"
            " as the retention time, without its limit of {year} days; empty while fewer than half"
            " have ended."
        ),
        numerator="first spells that ended by T",
        denominator=_FIRST_SPELLS,
        unit="days",
        better="higher",
        needs=_LEAVE,
        lookback=_AT_START,
        estimate="median_days",
        charted=False,
    ),
    "repeat_purchase_rate": Definition(
        title="Repeat purchase rate",
        definition=(
            "The share of the buyers of the last {year} days who bought on more than one day."
            " Purchases are positive amounts, no returns."
        ),
        numerator="customers with purchases on at least two days in (T − {year}, T]",
        denominator="customers with a purchase in (T − {year}, T]",
        unit="share",
        better="higher",
        needs=_same("orders"),
        lookback=(("orders", YEAR_DAYS),),
        charted=False,
    ),
    "purchase_frequency": Definition(
        title="Purchase frequency",
        definition=(
            "On how many days of the window a customer at the start bought, on average. Purchases"
            " are positive amounts, no returns."
        ),
        numerator="days with a purchase in the window, of the customers at the start",
        denominator=_START,
        unit="purchase days per customer in {window} days",
        better="higher",
        needs=_same("orders"),
        lookback=(*_AT_START, ("orders", "window")),
        estimate="ratio",
    ),
    "csat": Definition(
        title="Satisfied answers (CSAT)",
        definition=(
            "The share of the answers of kind csat given in the window whose score is at least 80 %"
            " of the highest possible. Where the table has no kind, all answers are taken for csat;"
            " answers without score or score_max don't count. Kinds are compared without regard to"
            " case."
        ),
        numerator="answers of kind csat in the window with score ≥ 0.8 × score_max",
        denominator="answers of kind csat in the window with score and positive score_max",
        unit="share",
        better="higher",
        needs=_same("feedback.score", "feedback.score_max"),
        lookback=(("csat", "window"),),
        rows="kind csat",
    ),
    "nps": Definition(
        title="Net promoter score (NPS)",
        definition=(
            "Promoters (at least 9 of 10) less detractors (6 or lower), per 100 answers of kind nps"
            " given in the window. Scores are scaled to a highest of 10 by score_max, where that is"
            " given; answers without a score don't count. Kinds are compared without regard to"
            " case."
        ),
        numerator="answers of kind nps in the window of at least 9, less those of at most 6",
        denominator="answers of kind nps in the window with a score",
        unit="points from −100 to 100",
        better="higher",
        needs=_same("feedback.kind", "feedback.score"),
        lookback=(("nps", "window"),),
        estimate="ratio",
        scale=100,
        rows="kind nps",
    ),
    "complaint_rate": Definition(
        title="Complaint rate",
        definition=(
            "The share of the customers at the start who complained at least once in the window."
        ),
        numerator="customers at the start with a contact in the window that is a complaint",
        denominator=_START,
        unit="share",
        better="lower",
        needs=_same("contacts.complaint"),
        lookback=(*_AT_START, ("complaints", "window")),
    ),
    "resolution_time": Definition(
        title="Median time to resolution",
        definition=(
            "The hours by which half of the contacts made in the window were resolved, by"
            " Kaplan-Meier: contacts open at the end of T count as long as they were open. Hours"
            " are whole minutes / 60; empty while fewer than half are resolved."
        ),
        numerator="contacts made in the window and resolved by the end of T",
        denominator="contacts made in the window",
        unit="hours",
        better="lower",
        needs=_same("contacts.resolved_at"),
        lookback=(("contacts", "window"),),
        estimate="median_hours",
        charted=False,
    ),
    "resolved_within_72h": Definition(
        title="Contacts resolved within 72 hours",
        definition=(
            "The share of the contacts of the {window} days up to T − 3 that were resolved within"
            " 72 hours; by the end of T all have had that time."
        ),
        numerator=(
            "contacts made in (T − {window3}, T − 3] with resolved_at ≤ contacted_at + 72 hours"
        ),
        denominator="contacts made in (T − {window3}, T − 3]",
        unit="share",
        better="higher",
        needs=_same("contacts.resolved_at"),
        lookback=(("contacts", "window3"),),
    ),
    "referral_rate": Definition(
        title="Referral rate",
        definition=(
            "The share of the customers at the start who referred somebody at least once in the"
            " window."
        ),
        numerator="customers at the start with a referral in the window",
        denominator=_START,
        unit="share",
        better="higher",
        needs=_same("referrals"),
        lookback=(*_AT_START, ("referrals", "window")),
    ),
    "revenue_lost": Definition(
        title="Revenue lost to churn",
        definition={
            "contractual": (
                "The yearly revenue that left with the customers who left in the window: 12 times"
                f" their monthly fee on the start. {_FEE_TEXT}"
            ),
            "non_contractual": (
                "The yearly revenue that left with the customers at the start whose spell ended in"
                f" the window: their {_YEARLY_SPEND}, scaled to {{year}} days."
            ),
        },
        numerator="yearly revenue of the customers at the start whose spell ended in the window",
        denominator="customers at the start (the total is not divided by them)",
        unit="{currency} a year",
        better="lower",
        needs=_FEES,
        lookback=_AT_START,
        estimate="total",
        charted=False,
    ),
    "revenue_lost_per_customer": Definition(
        title="Revenue lost to churn per customer",
        definition=(
            "The revenue lost to churn divided by the customers at the start, so that it compares"
            " over time and between segments."
        ),
        numerator="yearly revenue of the customers at the start whose spell ended in the window",
        denominator=_START,
        unit="{currency} a year per customer",
        better="lower",
        needs=_FEES,
        lookback=_AT_START,
        estimate="ratio",
    ),
    "reasons_recorded": Definition(
        title="Reasons for leaving recorded",
        definition=(
            "The share of the spells ended in the window for which a reason is recorded on the term"
            " with which cover ended (the one begun last, where several ended that day; of those a"
            " recorded reason first). Reasons of earlier terms, say a renewal, don't count."
        ),
        numerator="spells that ended in the window with an end_reason that is not blank",
        denominator="spells that ended in the window",
        unit="share",
        better="higher",
        needs=_same("contracts.ended_at", "contracts.end_reason"),
        lookback=_AT_START,
        charted=False,
        kinds=("contractual",),
    ),
    "involuntary_share": Definition(
        title="Left involuntarily",
        definition=(
            "The share of the spells ended in the window that the customer did not end by own will,"
            " of those where the table says (voluntary, on the same term as the reason)."
        ),
        numerator="spells that ended in the window with voluntary false",
        denominator="spells that ended in the window with voluntary true or false",
        unit="share",
        better="lower",
        needs=_same("contracts.ended_at", "contracts.voluntary"),
        lookback=_AT_START,
        kinds=("contractual",),
    ),
}
