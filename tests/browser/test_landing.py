"""The landing page in a real browser: what a person clicks, types and sees."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from exporter.config import Config, Expected, Web
from exporter.errors import Reason
from exporter.landing import API, resources
from tests.browser.chromium import ENTER, ESCAPE, TAB, Browser, browser
from tests.browser.fleet import NOW, Fleet, broken, healthy, stream
from tests.browser.site import served

pytestmark = pytest.mark.e2e

SHOWN = "answer !== null && document.querySelector('#summary').textContent !== 'Asking …'"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def site(window: Browser, fleet: Fleet) -> Iterator[str]:
    """The page's address; at the end nothing may stand in the browser's console."""
    window.screen(1360, 900)
    window.complaints()
    with served(resources(fleet.store, fleet.clock)) as port:
        yield f"http://127.0.0.1:{port}/"

        assert window.complaints() == []
        window.open("about:blank")


def opened(window: Browser, url: str) -> Browser:
    window.open(url)
    window.until(SHOWN)
    return window


def column(window: Browser, name: str, table: str = "streams") -> list[str]:
    """What stands in one column, from top to bottom."""
    script = """
        const place = [...document.querySelectorAll(`#${arguments[0]} th`)].findIndex((head) => head.dataset.column === arguments[1]);
        return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map((row) => row.children[place].innerText.trim());
    """
    found: list[str] = window.run(script, table, name)
    return found


def sorting(window: Browser) -> dict[str, str]:
    """How the streams are sorted, as a screen reader is told."""
    script = "return [...document.querySelectorAll('#streams th[aria-sort]')].map((th) => [th.dataset.column, th.ariaSort]);"
    return dict(window.run(script))


def focused(window: Browser) -> str:
    text: str = window.run("return document.activeElement.id || document.activeElement.textContent;")
    return text


def look(window: Browser, fleet: Fleet) -> None:
    """One look of the exporter's, and then one of the page's."""
    fleet.look()
    window.run("answer = null; follow();")
    window.until(SHOWN)


def test_healthy(window: Browser, fleet: Fleet, site: str) -> None:
    """A page on which all is well says so, and shows what is there."""
    healthy(fleet)
    opened(window, site)

    assert window.run("return document.querySelector('#problems .none').innerText") == "None."
    assert window.run("return document.querySelector('#summary').textContent") == "9 of 9 streams running, as of 12:06:40"
    assert window.run("return document.title") == "lakehouse-exporter"
    assert [each.split() for each in column(window, "state")] == [["running", "processing"]] * 9
    assert column(window, "state", "drivers") == ["reachable"] * 3
    assert window.run("return document.querySelector('#failures').hidden") is True


def test_problems_first(window: Browser, fleet: Fleet, site: str) -> None:
    """Problems stand above all, the gravest first, in words and not in colour alone; the worst streams stand on top."""
    broken(fleet)
    opened(window, site)
    told = window.run(
        "return [...document.querySelectorAll('#problems li')].map((li) => [...li.children].slice(0, 2).map((each) => each.innerText));"
    )
    above = "document.querySelector('#problems').compareDocumentPosition(document.querySelector('#streams'))"

    assert told == [
        ["critical", "stock-sync"],
        ["critical", "billing"],
        ["critical", "orders_silver · orders-etl"],
        ["critical", "card_events · fraud-detection"],
        ["warning", "orders_by_region · orders-etl"],
        ["warning", "scores · fraud-detection"],
        ["note", "orders-etl"],
    ]
    assert window.run(f"return {above} === Node.DOCUMENT_POSITION_FOLLOWING")
    assert column(window, "query")[:5] == ["orders_silver", "stock_levels", "card_events", "invoices", "payments"]
    assert column(window, "class", "failures") == ["driver_lost", "state_store", "oom"]
    assert window.run("return document.title") == "(6) lakehouse-exporter"
    assert window.run("return document.querySelector('#failures tbody a').href").endswith("#job/88123/run/551902")


def test_click_sorts(window: Browser, fleet: Fleet, site: str) -> None:
    """A click sorts, a second one the other way round; numbers as numbers, and what is unknown last either way."""
    healthy(fleet)
    opened(window, site)
    window.click("#streams th[data-column=rate] button")
    up = column(window, "rate"), sorting(window)
    window.click("#streams th[data-column=rate] button")
    down = column(window, "rate"), sorting(window)
    window.click("#streams th[data-column=backlog] button")
    least = column(window, "backlog")
    window.click("#streams th[data-column=backlog] button")
    most = column(window, "backlog")

    assert up == (["7.5", "68", "131", "456", "2,455", "4,000", "11,818", "29,355", "35,686"], {"rate": "ascending"})
    assert down == (up[0][::-1], {"rate": "descending"})
    assert least == ["12 rows", "1,250 rows", "40,800 rows", *["unknown"] * 6]
    assert most == ["40,800 rows", "1,250 rows", "12 rows", *["unknown"] * 6]
    assert window.run("return location.hash") == "#streams=-backlog"


def test_keyboard(window: Browser, fleet: Fleet, site: str) -> None:
    """The page is used without a mouse: `/` to the filter, Tab to a column's head, Enter to sort, Escape to see all again."""
    healthy(fleet)
    opened(window, site)
    window.press("/", *"orders", TAB)
    filtered, place = column(window, "query"), focused(window)
    window.press(ENTER)
    window.press(ENTER)
    reversed_, still = column(window, "query"), focused(window)
    window.press("/")
    in_filter = focused(window)
    window.press(ESCAPE)

    assert (filtered, place) == (["dead_letters", "orders_bronze", "orders_by_region", "orders_silver"], "Stream")
    assert (reversed_, still) == (["orders_silver", "orders_by_region", "orders_bronze", "dead_letters"], "Stream")
    assert in_filter == "filter"
    assert (len(column(window, "query")), focused(window) == "filter") == (9, False)


def test_filter(window: Browser, fleet: Fleet, site: str) -> None:
    """Every word that is typed must be there, in whatever column; the heading tells how many there are of how many."""
    broken(fleet)
    opened(window, site)
    window.click("#filter")
    window.press(*"OOM silver")

    assert column(window, "query") == ["orders_silver"]
    assert window.run("return document.querySelector('#streams .count').textContent") == "1 of 12"
    assert column(window, "query", "failures") == ["orders_silver"]
    assert len(window.run("return [...document.querySelectorAll('#problems li')].map(String)")) == 7


def test_address_keeps_the_view(window: Browser, fleet: Fleet, site: str) -> None:
    """Sort and filter stand in the address, so that a view can be sent to somebody; what is no column is not taken."""
    healthy(fleet)
    opened(window, f"{site}#filter=clicks&streams=-batch&drivers=nonsense")
    shown = column(window, "batch"), window.run("return document.querySelector('#filter').value")
    window.run("location.hash = '#filter=invoices'")
    window.until("document.querySelector('#filter').value === 'invoices'")

    assert shown == (["5,120", "5,118", "5,090"], "clicks")
    assert column(window, "query") == ["invoices"]
    assert sorting(window) == {"state": "ascending"}


def test_driver_that_goes_away(window: Browser, fleet: Fleet, site: str) -> None:
    """A driver that goes away becomes a problem without a reload; when it is back the problem is gone."""
    healthy(fleet)
    opened(window, site)
    fleet.silent = {"billing": Reason.TIMEOUT}
    fleet.now += 5
    fleet.look()
    window.until("document.querySelectorAll('#problems li').length === 1")  # by itself, at the page's next question
    problem = window.run("return document.querySelector('#problems li').innerText.split(/\\s*\\n+\\s*/)")
    states = column(window, "state")[:2]
    fleet.silent = {}
    look(window, fleet)

    assert problem == [
        "critical",
        "billing",
        "Driver unreachable. What is shown of its streams is what was last known.",
        "for 5 s",
    ]
    assert states == ["unknown", "unknown"]
    assert window.run("return document.querySelectorAll('#problems li').length") == 0


NASTY = [
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "\"><b id='owned'>",
    "{{7*7}}${7*7}",
    "\u202eevil",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("name", NASTY)
def test_a_name_that_is_html(window: Browser, fleet: Fleet, site: str, name: str) -> None:
    """A query's and an application's name is text, whatever it looks like, wherever it stands."""
    ring = fleet.driver(name)
    stream(ring, name, ago=400)
    ring.now = NOW - 9
    ring.terminated(name, run=f"run-{name}", exception="java.lang.OutOfMemoryError")
    fleet.look()
    opened(window, site)
    inside = "return document.querySelectorAll('main img, main script, main b:not(#problems li > b), #owned').length"

    assert window.run("return document.querySelector('#streams td.name').textContent") == name
    assert window.run("return document.querySelector('#failures td.name').textContent") == name
    assert window.run("return document.querySelector('#drivers td.name').textContent") == name
    assert window.run("return document.querySelector('#problems strong').textContent") == f"{name} · {name}"
    assert window.run("return document.title") == "(1) lakehouse-exporter"
    assert window.run(inside) == 0


@pytest.mark.parametrize("message", NASTY)
def test_an_exception_that_is_html(window: Browser, fleet: Fleet, site: str, message: str) -> None:
    """An exception's first line, where it is shown, is text under its failure, and the filter finds it."""
    fleet.config = Config(web=Web(show_exceptions=True))
    ring = fleet.driver("etl")
    stream(ring, "orders")
    ring.terminated("orders", run="run-orders", exception=f"a.b.C: {message} here")
    fleet.look()
    opened(window, f"{site}#filter=a.b.C:+here")
    shown = " ".join(f"a.b.C: {message} here".replace("\u202e", " ").split())

    assert window.run("return document.querySelector('#failures td.wide .message').textContent") == shown
    assert window.run("return document.title") == "(1) lakehouse-exporter"
    assert window.run("return document.querySelectorAll('main img, main script, main td b, #owned').length") == 0


@pytest.mark.parametrize(("width", "mobile"), [(1360, False), (390, True)])
def test_a_long_exception(window: Browser, fleet: Fleet, site: str, width: int, mobile: bool) -> None:  # noqa: FBT001 -- a screen's
    """An exception's first line wraps, on a screen and on a phone, whatever it is made of."""
    fleet.config = Config(web=Web(show_exceptions=True))
    ring = fleet.driver("etl")
    stream(ring, "orders")
    ring.terminated("orders", run="run-orders", exception="x." * 1000)
    fleet.look()
    window.screen(width, 900, mobile=mobile)
    opened(window, site)
    lines = "return document.querySelector('.message').getClientRects()[0].height / 18"

    assert window.run("return document.documentElement.scrollWidth") == width
    assert (
        window.run("const frame = document.querySelector('#failures .frame'); return frame.scrollWidth - frame.clientWidth")
        == 0
    )
    assert window.run(lines) > 2


def test_expected_and_missing(window: Browser, fleet: Fleet, site: str) -> None:
    """A stream that is expected and not there has a row among the bad ones, and a problem in words."""
    fleet.config = Config(expected=(Expected("orders-etl", "late", None),))
    broken(fleet)
    opened(window, f"{site}#filter=late")
    told = window.run(
        "return [...document.querySelectorAll('#problems li')].find(one => one.innerText.includes('late '))"
        ".innerText.split(/\\s*\\n+\\s*/)"
    )
    cells = [column(window, name) for name in ("query", "state", "signal", "failures", "trigger")]
    window.run("location.hash = ''")
    window.until("document.querySelectorAll('#streams tbody tr').length === 13")

    assert told == [
        "critical",
        "late · orders-etl",
        "Stream missing. Expected, and not running. It was never seen.",
        "for 1 m 35 s",
    ]
    assert cells == [["late"], ["missing"], ["\u2013"], ["\u2013"], ["\u2013"]]
    assert [each.split()[0] for each in column(window, "state")[:4]] == ["failed", "lost", "missing", "stalled"]
    assert window.run("return document.querySelectorAll('#streams .state.bad').length") == 4


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://plain.example", "data:text/html,x"])
def test_a_link_that_is_none(window: Browser, fleet: Fleet, site: str, address: str) -> None:
    """Only an https address becomes a link, whatever the answer holds."""
    healthy(fleet)
    opened(window, site)
    window.run("for (const one of answer.streams) one.run_page = arguments[0]; show();", address)

    assert window.run("return document.querySelectorAll('#streams a').length") == 0


def test_the_policy_bites(window: Browser, fleet: Fleet, site: str) -> None:
    """Even markup that got into the page could run nothing: the browser refuses it."""
    healthy(fleet)
    opened(window, site)
    window.run("""
        const script = document.createElement("script");
        script.textContent = "document.title = 'owned'";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<p style='color: red' onclick='document.title = `owned`'>here</p>");
        document.body.lastElementChild.click();
    """)
    complaints = window.complaints()

    assert window.run("return document.title") == "lakehouse-exporter"
    assert window.run("return getComputedStyle(document.body.lastElementChild).color") != "rgb(255, 0, 0)"
    assert len(complaints) == 3
    assert all("Content Security Policy" in line for line in complaints)


def test_an_exporter_that_is_gone(window: Browser, fleet: Fleet) -> None:
    """When the exporter does not answer the page says so, and keeps what it knew; when it is back, that is over."""
    healthy(fleet)
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with served(resources(fleet.store, fleet.clock), port):
        opened(window, f"http://127.0.0.1:{port}/")
        before = window.run("return document.querySelector('#silence').hidden")
    window.run("follow()")
    window.until("!document.querySelector('#silence').hidden")
    told, rows = window.run("return document.querySelector('#silence').innerText"), column(window, "query")
    with served(resources(fleet.store, fleet.clock), port):
        window.run("follow()")
        window.until("document.querySelector('#silence').hidden")
        window.complaints()

    assert before is True
    assert told.startswith("The exporter does not answer (")
    assert len(rows) == 9


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}"])
def test_an_answer_that_is_none(window: Browser, fleet: Fleet, body: bytes) -> None:
    """An answer that is not the exporter's, of a proxy for one, is silence and not an empty page."""
    healthy(fleet)
    answers = {**resources(fleet.store, fleet.clock), API: lambda: (200, "application/json", body, ())}
    with served(answers) as port:
        window.open(f"http://127.0.0.1:{port}/")
        window.until("!document.querySelector('#silence').hidden")
        window.complaints()

    assert window.run("return document.querySelector('#empty').hidden") is True


def test_empty(window: Browser, fleet: Fleet, site: str) -> None:
    """Where no driver has been seen the page tells how to attach one; before the first look it does not."""
    opened(window, site)
    before = window.run("return [document.querySelector('#empty').hidden, document.querySelector('#summary').textContent]")
    look(window, fleet)

    assert before == [True, "The first look is under way"]
    assert window.run("return document.querySelector('#empty').hidden") is False
    assert "--conf spark.extraListeners=lakehouse.listener.LakehouseListener" in window.run(
        "return document.querySelector('#empty').innerText"
    )


def test_phone(window: Browser, fleet: Fleet, site: str) -> None:
    """On a phone nothing is wider than the screen, rows are cards that name their values, and heads still sort."""
    broken(fleet)
    window.screen(390, 844, mobile=True)
    opened(window, site)
    window.click("#streams th[data-column=query] button")

    assert window.run("return document.documentElement.scrollWidth") == 390
    assert window.run("return getComputedStyle(document.querySelector('#streams tbody tr')).display") == "grid"
    assert column(window, "query")[0].endswith("bot_filter")
    assert (
        window.run("return getComputedStyle(document.querySelector('#streams td.number'), '::before').content")
        == '"Last signal"'
    )


@pytest.mark.parametrize("dark", [False, True])
def test_contrast(window: Browser, fleet: Fleet, site: str, dark: bool) -> None:  # noqa: FBT001 -- light and dark
    """Every text has a contrast of at least 4.5 to what it stands on (WCAG 2.2, 1.4.3), in the light and in the dark."""
    fleet.config = Config(web=Web(show_exceptions=True))
    broken(fleet)
    window.screen(1360, 900, dark=dark)
    opened(window, site)
    worst = window.run("""
        const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const ground = (place) => {
            for (let each = place; each; each = each.parentElement) {
                const colour = numbers(getComputedStyle(each).backgroundColor);
                if (colour.length === 3 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
        };
        const light = (colour) => {
            const [r, g, b] = colour.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        let worst = [21, ""];
        for (const place of document.querySelectorAll("body *")) {
            const own = [...place.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
            if (!own || !place.getClientRects().length) continue;
            const [one, other] = [light(numbers(getComputedStyle(place).color)), light(ground(place))];
            const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (contrast < worst[0]) worst = [contrast, place.outerHTML];
        }
        return worst;
    """)

    assert worst[0] >= 4.5, worst[1]


def test_many_streams(window: Browser, fleet: Fleet, site: str) -> None:
    """500 streams are shown, sorted and filtered; rows that stay are the same rows, so that focus and selection stay."""
    ring = fleet.driver("many")
    for number in range(500):
        stream(ring, f"stream_{number:03}", batch=number)
    fleet.look()
    opened(window, site)
    window.click("#streams th[data-column=batch] button")
    window.click("#streams th[data-column=batch] button")
    window.run("window.kept = document.querySelector('#streams tbody tr')")
    look(window, fleet)

    assert column(window, "query")[:2] == ["stream_499", "stream_498"]
    assert len(column(window, "query")) == 500
    assert window.run("return window.kept === document.querySelector('#streams tbody tr')")


def test_nothing_from_elsewhere(window: Browser, fleet: Fleet, site: str) -> None:
    """The page asks for three things, all of them from where it came from."""
    healthy(fleet)
    opened(window, site)
    asked = window.run("return performance.getEntriesByType('resource').map((one) => one.name);")

    assert sorted(set(asked)) == [f"{site}api/v1/streams", f"{site}landing.css", f"{site}landing.js"]


def test_behind_a_proxy(window: Browser, fleet: Fleet) -> None:
    """Under a path that a proxy made up the page finds all its parts."""
    healthy(fleet)
    window.complaints()
    moved = {f"/proxy/10071{path}": resource for path, resource in resources(fleet.store, fleet.clock).items()}
    with served(moved) as port:
        opened(window, f"http://127.0.0.1:{port}/proxy/10071/")
        window.open("about:blank")

    assert window.complaints() == []
