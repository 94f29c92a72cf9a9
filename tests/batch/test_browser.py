import json
import os
import shutil
import time

import pytest
from projects import write_notebook, write_plan, write_study
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from research.batch import run

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = [390, 1280]
FIGURE = (
    "import matplotlib.pyplot as plt\nax = plt.subplots(figsize=(12, 4))[1]\nax = ax.plot([1, 3,"
    " 2])[0].axes"
)
WIDE = (
    "import pandas as pd\npd.DataFrame({f'a_rather_long_column_{number}': [number / 7] for number"
    " in range(20)})"
)
HOSTILE = (
    'print(\'</pre></div><script>document.title = "hurt"</script><img'
    " src=\"http://127.0.0.1:9/x.png\">' + 'long' * 100)"
)
MARKUP = (
    'from IPython.display import HTML\nHTML(\'<script>document.title = "hurt"</script><img'
    ' src="http://127.0.0.1:9/y.png" onerror="document.title = 1">\')'
)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The reports of one notebook with a figure, a wide table and hostile text, and of one that
    fails.
    """
    root = tmp_path_factory.mktemp("browser")
    write_study(root, "alpha")
    cells = [
        "## A figure",
        FIGURE,
        "## A wide table",
        WIDE,
        "## Hostile text",
        HOSTILE,
        MARKUP,
        "import warnings\nwarnings.warn('a warning')",
    ]
    write_notebook(root, "10_data", "What is there?", 'study: str = "alpha"', *cells)
    write_notebook(
        root,
        "30_risk",
        "Who will leave?",
        'study: str = "alpha"',
        "raise ValueError('<script>document.title = \"hurt\"</script>' + 'long' * 100)",
    )
    write_plan(root, "notebooks: [10_data, 30_risk]\nstudies: {alpha: {}}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESEARCH_HOME", str(root))
        assert run.run(None, {}, 2) == 1
    return root / "reports"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            "needs chromium and chromedriver, Debian's packages chromium and chromium-driver"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


def visit(browser, page, width: int = 1280) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(page.as_uri())


def list_requests(browser) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


@pytest.fixture(params=["alpha/default/10_data.html", "index.html"], ids=["page", "index"])
def page(request, reports):
    return reports / request.param


def test_a_page_asks_for_nothing_beyond_itself_and_the_console_stays_empty(browser, page):
    visit(browser, page)
    time.sleep(0.5)
    requests = list_requests(browser)
    assert requests[0] == page.as_uri()
    assert [address for address in requests if not address.startswith(("file:", "data:"))] == []
    assert browser.get_log("browser") == []
    assert "hurt" not in browser.title


def measure_overflow(browser) -> int:
    return browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_is_no_wider_than_the_window(browser, page, width):
    visit(browser, page, width)
    for details in browser.find_elements(By.TAG_NAME, "summary"):
        browser.execute_script("arguments[0].parentElement.open = true", details)
    assert measure_overflow(browser) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_with_its_code_shown_is_no_wider_than_the_window(browser, reports, width):
    visit(browser, reports / "alpha" / "default" / "10_data.html", width)
    browser.find_element(By.ID, "show-code").click()
    assert measure_overflow(browser) == 0


def test_a_wide_table_scrolls_in_a_box_of_its_own(browser, reports):
    visit(browser, reports / "alpha" / "default" / "10_data.html", 390)
    box = browser.find_element(By.CSS_SELECTOR, "div.scroll")
    assert box.get_property("scrollWidth") > box.get_property("clientWidth")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_is_drawn_within_the_window(browser, reports, width):
    visit(browser, reports / "alpha" / "default" / "10_data.html", width)
    image = browser.find_element(By.CSS_SELECTOR, ".figure img")
    assert image.get_property("naturalWidth") > 0
    assert 0 < image.size["width"] <= width
    assert image.get_attribute("alt") == "Figure: A figure"


def shown(browser) -> set[bool]:
    return {part.is_displayed() for part in browser.find_elements(By.CSS_SELECTOR, ".code")}


def test_code_is_hidden_until_the_switch_is_clicked(browser, reports):
    visit(browser, reports / "alpha" / "default" / "10_data.html")
    assert shown(browser) == {False}
    browser.find_element(By.CSS_SELECTOR, "label.switch").click()
    assert shown(browser) == {True}
    browser.find_element(By.CSS_SELECTOR, "label.switch").click()
    assert shown(browser) == {False}


def test_the_switch_is_reached_and_turned_by_the_keyboard(browser, reports):
    visit(browser, reports / "alpha" / "default" / "10_data.html")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB, Keys.TAB)
    focused = browser.switch_to.active_element
    assert focused.get_attribute("id") == "show-code"
    focused.send_keys(Keys.SPACE)
    assert shown(browser) == {True}


def test_hostile_text_is_read_as_text(browser, reports):
    visit(browser, reports / "alpha" / "default" / "10_data.html")
    assert (
        '<script>document.title = "hurt"</script>'
        in browser.find_element(By.CSS_SELECTOR, "pre.plain").text
    )
    visit(browser, reports / "index.html")
    assert (
        '<script>document.title = "hurt"</script>'
        in browser.find_element(By.CSS_SELECTOR, "p.error").text
    )


@pytest.mark.parametrize(
    ("width", "selector", "other"),
    [(390, "details.contents", "nav.side"), (1280, "nav.side", "details.contents")],
)
def test_the_contents_stand_aside_on_a_desk_and_fold_on_a_phone(
    browser, reports, width, selector, other
):
    visit(browser, reports / "alpha" / "default" / "10_data.html", width)
    assert browser.find_element(By.CSS_SELECTOR, selector).is_displayed()
    assert not browser.find_element(By.CSS_SELECTOR, other).is_displayed()


def test_the_index_leads_to_a_page_and_the_page_back(browser, reports):
    visit(browser, reports / "index.html")
    browser.find_element(By.LINK_TEXT, "What is there?").click()
    assert browser.find_element(By.TAG_NAME, "h1").text == "What is there?"
    browser.find_element(By.LINK_TEXT, "All reports").click()
    assert browser.find_element(By.TAG_NAME, "h1").text == "Reports"
