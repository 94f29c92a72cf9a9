"""Take the pictures of reports in ``docs/images``: ``python docs/take_pictures.py [REPORTS]``.

It opens the pages below ``reports/`` (or the folder given) in headless Chromium, by selenium, and
cuts out one section, or the first figure of it. The pages are those of ``make reports`` for the
demo, online_retail and cdnow.
"""

import base64
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
MARGIN = 12
# the box around a section from its heading to the next one, or around its first figure
FIND_BOX = """
const [heading, figure] = arguments;
const titles = [...document.querySelectorAll("h1, h2")];
const place = titles.findIndex(title => title.textContent.trim() === heading);
if (place < 0) return titles.map(title => title.textContent.trim());
const top = titles[place].getBoundingClientRect().top;
const next = titles[place + 1];
const bottom = next ? next.getBoundingClientRect().top : document.body.scrollHeight;
const inside = [...document.querySelectorAll("svg, img")].map(one => one.getBoundingClientRect())
  .filter(box => box.top > top && box.top < bottom && box.height > 150);
const box = figure ? inside[0] : null;
return box ? {x: box.left, y: box.top, width: box.width, height: box.height}
  : {x: 0, y: top, width: document.documentElement.clientWidth, height: bottom - top};
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a report: which page, which section, and how much of it."""

    name: str
    study: str
    notebook: str
    heading: str
    figure: bool = False
    width: int = 1000
    most: int = 1500  # pixels of height


PICTURES = (
    Picture("risk", "online_retail", "30_risk", "How do the models compare?", most=1900),
    Picture("verdict", "online_retail", "30_risk", "Verdict", width=800, most=700),
    Picture(
        "reliability", "online_retail", "30_risk", "Can the probabilities be read as shares?", True
    ),
    Picture("phone", "online_retail", "30_risk", "Who will leave?", width=390, most=1250),
    Picture("survival", "demo", "40_survival", "How long do they stay, and who leaves sooner?"),
    Picture("value", "cdnow", "50_value", "Does the model predict better than a baseline?", True),
    Picture("uplift", "demo", "60_uplift", "Do models predict who gains more?", True),
    Picture("stages", "demo", "20_lifecycle", "In which stage is each customer?"),
    Picture("cohorts", "demo", "20_lifecycle", "How well are cohorts retained?", True),
    Picture("warning", "demo", "20_lifecycle", "Which indicator has worsened, or improved?", True),
)


def main() -> int:
    """Take every picture whose page is there; return 1 where one is missing."""
    reports = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "reports"
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        faults = [fault for picture in PICTURES if (fault := take(browser, picture, reports))]
    finally:
        browser.quit()
    print(*faults, sep="\n")
    return int(bool(faults))


def take(browser: webdriver.Chrome, picture: Picture, reports: Path) -> str:
    """Take one picture; return a sentence where it can't be."""
    page = (reports / picture.study / "default" / f"{picture.notebook}.html").resolve()
    if not page.exists():
        return f"{picture.name}: expected the page {page}, got none; run the batch"
    browser.set_window_size(picture.width, 1200)
    browser.get(page.as_uri())
    box = browser.execute_script(FIND_BOX, picture.heading, picture.figure)
    if isinstance(box, list):
        return (
            f"{picture.name}: expected the section '{picture.heading}' in {page}, got"
            f" {', '.join(box)}; correct PICTURES"
        )
    (IMAGES / f"{picture.name}.png").write_bytes(shoot(browser, box, picture.most))
    return ""


def shoot(browser: webdriver.Chrome, box: dict[str, float], most: int) -> bytes:
    """Return a part of the page as PNG, at most so many pixels high."""
    left, top = max(box["x"] - MARGIN, 0), max(box["y"] - MARGIN, 0)
    clip = {
        "x": left,
        "y": top,
        "width": box["width"] + box["x"] - left + MARGIN,
        "height": min(box["height"] + MARGIN, most),
        "scale": 1,
    }
    command = {"format": "png", "clip": clip, "captureBeyondViewport": True}
    answer = browser.execute_cdp_cmd("Page.captureScreenshot", command)
    return base64.b64decode(answer["data"])


if __name__ == "__main__":
    sys.exit(main())
