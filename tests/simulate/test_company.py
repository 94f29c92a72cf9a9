"""The chosen numbers: shares add up, and the data dictionary states what the simulator uses."""

from pathlib import Path

import pytest

from research.simulate import company

DICTIONARY = Path(__file__).parents[2] / "data" / "demo" / "README.md"
SHARES = {  # tables whose first column is a share
    **company.TRAITS,
    **{
        name: getattr(company, name)
        for name in (
            "PLANS",
            "DISCOUNTS",
            "LANGUAGES",
            "ANSWERS",
            "CHANNELS",
            "PRODUCTS",
            "QUANTITIES",
            "USES",
            "KINDS",
            "OFFER_CODES",
        )
    },
}
DRIVERS = {  # as the dictionary calls interactions
    "fall × grievance": "fall_grievance",
    "rise × dear": "rise_dear",
    "contact × 60 or older": "contact_older",
}
ARM_DRIVERS = ("base", "dear", "fall", "grievance", "quiet")


def read_rows(header: str) -> dict[str, list[str]]:
    """Return the cells of a table of the data dictionary by its first column."""
    lines = DICTIONARY.read_text(encoding="utf-8").split(header)[1].splitlines()[2:]
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name] = cells
    return rows


def to_number(cell: str) -> float:
    return float(cell.replace("−", "-") or 0)


@pytest.mark.parametrize("name", SHARES)
def test_shares_add_up_to_one(name):
    assert sum(row[0] for row in SHARES[name].values()) == pytest.approx(1)


def test_the_arms_of_a_randomised_campaign_have_shares_that_add_up_to_one_in_every_plan():
    randomised = [shares for shares in company.CAMPAIGNS.values() if shares is not None]
    assert [*company.CAMPAIGNS.values()].count(None) == 1
    for shares in randomised:
        assert set(shares) == set(company.PLANS)
        assert all(sum(arms) == pytest.approx(1) for arms in shares.values())


def test_the_data_dictionary_states_the_coefficients_of_the_hazard():
    rows = read_rows("| driver | voluntary | involuntary | in words |")
    stated = {
        DRIVERS.get(name, name): (to_number(cells[0]), to_number(cells[1]))
        for name, cells in rows.items()
    }
    assert stated == company.HAZARD


def test_the_data_dictionary_states_the_effects_of_the_arms():
    rows = read_rows("| arm | everybody | per dear | per fall | per grievance | quiet |")
    stated = {
        arm: {driver: to_number(cell) for driver, cell in zip(ARM_DRIVERS, cells, strict=True)}
        for arm, cells in rows.items()
    }
    assert stated == {
        arm: {driver: effects.get(driver, 0.0) for driver in ARM_DRIVERS}
        for arm, effects in company.ARM_EFFECTS.items()
    }
