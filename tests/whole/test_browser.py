"""The page of claims in a real browser: headless Chromium, no network."""

import pathlib
import re
import shutil

import pytest
from conftest import ROOT

from tf_lottery.report import reproduction_page

webdriver = pytest.importorskip("selenium.webdriver")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,  # it builds a report, and starts a browser
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="there is no chromium with a chromedriver",
    ),
]
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    # A path that is wider than a phone.
    folder = tmp_path_factory.mktemp("a_folder_whose_name_is_long" * 3)
    runs = folder / "runs"
    for name in ("lottery_tickets_short", "supermask_quick"):
        shutil.copytree(ROOT / "results" / name, runs / name)
    return reproduction_page.build([runs], folder / "report").page


@pytest.fixture(scope="module")
def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture(params=WIDTHS)
def browser(request, chromium, page):
    """The page, just opened, at the width of a desktop or of a phone."""
    resize(chromium, WIDTHS[request.param])
    chromium.get("about:blank")
    chromium.get(page.as_uri())
    yield chromium
    assert not [
        entry
        for entry in chromium.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING")
    ]


def resize(driver, width):
    # A window has a least width; a device that is emulated has none.
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "mobile": False}
    )


def shown(driver):
    """The claims that can be seen, in their order, with their data."""
    return driver.execute_script(
        """return [...document.querySelector("table.claims").tBodies]
        .filter((x) => x.offsetHeight > 0)
        .map((x) => ({...x.dataset, text: x.textContent}));"""
    )


def said(driver):
    return driver.find_element(By.CSS_SELECTOR, "#choose output").text


def field(driver, name):
    return driver.find_element(By.CSS_SELECTOR, f"#choose [name={name}]")


def test_the_page_fits(browser):
    assert browser.execute_script(
        "return document.documentElement.scrollWidth <= innerWidth"
    )


def test_the_worst_claims_come_first(browser):
    verdicts = [claim["verdict"] for claim in shown(browser)]
    order = list(dict.fromkeys(verdicts))
    known = reproduction_page.PAGE
    assert order == [verdict for verdict in known if verdict in order]
    assert len(order) > 2
    count = len(verdicts)
    assert said(browser) == f"{count} of {count} claims are shown."


@pytest.mark.parametrize(
    "name, value",
    [
        ("paper", "Zhou et al. 2019"),
        ("network", "Conv-4"),
        ("verdict", "inconclusive"),
    ],
)
def test_claims_are_filtered(browser, page, name, value):
    everything = shown(browser)
    wanted = [claim for claim in everything if claim[name] == value]
    field(browser, name).send_keys(value)
    assert shown(browser) == wanted
    assert 0 < len(wanted) < len(everything)
    assert said(browser).startswith(f"{len(wanted)} of {len(everything)} ")
    # The address leads there again.
    address = browser.current_url
    assert f"{name}=" in address
    browser.get("about:blank")
    browser.get(address)
    assert shown(browser) == wanted
    field(browser, name).send_keys("all")
    assert shown(browser) == everything
    assert f"{name}=" not in browser.current_url


def test_claims_are_searched(browser):
    field(browser, "search").send_keys("small_FINAL")
    found = shown(browser)
    assert found
    assert all("small_final" in claim["text"].lower() for claim in found)
    field(browser, "search").send_keys(" no such words")
    assert not shown(browser)
    assert said(browser).startswith("0 of ")


@pytest.mark.parametrize(
    "name, text", [("place", "paper"), ("distance", "distance")]
)
def test_claims_are_sorted(browser, name, text):
    before = shown(browser)
    field(browser, "sort").send_keys(text)
    after = shown(browser)
    assert [float(claim[name]) for claim in after] == sorted(
        float(claim[name]) for claim in before
    )
    assert after != before


def test_a_tile_shows_the_claims_of_its_verdict(browser):
    link = browser.find_element(By.LINK_TEXT, "inconclusive")
    link.click()
    assert {claim["verdict"] for claim in shown(browser)} == {"inconclusive"}


def test_the_keyboard_alone_suffices(browser):
    def focused():
        return browser.switch_to.active_element

    field(browser, "search").click()
    focused().send_keys("tickets", Keys.TAB)
    assert focused().get_attribute("name") == "paper"
    focused().send_keys(Keys.TAB)
    focused().send_keys(Keys.TAB)
    assert focused().get_attribute("name") == "verdict"
    focused().send_keys("inc", Keys.TAB)
    assert focused().get_attribute("name") == "sort"
    found = shown(browser)
    assert found
    assert {claim["verdict"] for claim in found} == {"inconclusive"}
    focused().send_keys(Keys.TAB)  # the first claim that can be seen
    assert focused().tag_name == "a" and focused().text == key_of(found[0])
    focused().send_keys(Keys.TAB)
    assert focused().text == "Protocol"
    focused().send_keys(Keys.ENTER)
    details = focused().find_element(By.XPATH, "..")
    assert details.get_attribute("open")


def key_of(claim):
    return claim["text"].split()[0].split("◐")[0]


def test_what_is_hovered_has_its_numbers(browser):
    rows = browser.find_elements(By.CSS_SELECTOR, "svg.forest > title")
    texts = [row.get_attribute("textContent") for row in rows]
    assert any("a rerun by others" in text for text in texts)
    assert all("ours" in text and "the paper" in text for text in texts)
    points = browser.find_elements(By.CSS_SELECTOR, "figure svg a > title")
    assert len(points) > 100
    texts = [point.get_attribute("textContent") for point in points]
    assert any("winning ticket, 21.1 % remaining" in text for text in texts)
    # What is under the mouse is what has the title.
    found = browser.execute_script(
        """const link = arguments[0];
        link.scrollIntoView({block: "center", inline: "center"});
        const box = link.getBoundingClientRect();
        const there = document.elementFromPoint(
          box.x + box.width / 2, box.y + box.height / 2);
        return there.closest("a").querySelector("title").textContent;""",
        points[-1].find_element(By.XPATH, ".."),
    )
    assert "remaining" in found or "%" in found


def test_without_scripts_everything_is_there(chromium, page):
    everything = page.read_text().count("<tbody data-rank")
    chromium.execute_cdp_cmd(
        "Emulation.setScriptExecutionDisabled", {"value": True}
    )
    try:
        chromium.get(page.as_uri())
        form = chromium.find_element(By.ID, "choose")
        claims = chromium.find_elements(By.CSS_SELECTOR, "tbody[data-rank]")
        assert not form.is_displayed()
        assert len([c for c in claims if c.is_displayed()]) == everything
    finally:
        chromium.execute_cdp_cmd(
            "Emulation.setScriptExecutionDisabled", {"value": False}
        )


def test_the_page_asks_nobody(page):
    # What names a namespace or a licence is not followed.
    text = pathlib.Path(page).read_text()
    asks = r'(?:src|href|action)="https?:|url\(.?https?:|@import|import\('
    asked = re.findall(asks, text)
    assert not asked
