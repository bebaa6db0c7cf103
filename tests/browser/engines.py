"""Three browser engines behind one small interface: Chromium, Firefox and WebKit.

An *engine* opens pages, each in a profile of its own where the engine can have several. A *page* evaluates JavaScript::

    page = engine.open("http://127.0.0.1:5000/")
    page.evaluate("url => fetch(url).then(response => response.status)", url)

Chromium is driven by Playwright, Firefox by WebDriver BiDi over its own remote agent, WebKit by WebKitGTK's WebDriver
under Xvfb. Each engine raises :class:`Unavailable` where something that it needs is not installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from base64 import b64decode
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from typing import IO
from typing import Protocol

#: Chromium and Firefox find this name on 127.0.0.1. WebKitGTK has no such option; it finds every name below
#: ``localhost`` there.
FOREIGN_NAMES = {"chromium": "attacker.test", "firefox": "attacker.test", "webkit": "attacker.localhost"}

#: What JavaScript is told of a request that failed, whatever the reason.
FAILED = {
    "chromium": "Failed to fetch",
    "firefox": "NetworkError when attempting to fetch resource.",
    "webkit": "Load failed",
}

#: No GPU, no sandbox, and no traffic of its own: only what a test asks for is sent, and no name leads off this machine.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP attacker.test 127.0.0.1,MAP * ~NOTFOUND,EXCLUDE 127.0.0.1,EXCLUDE localhost,"
    "EXCLUDE *.localhost",
)
#: A proxy that is not there. Firefox and WebKit ask it for all that is not on this machine.
NO_PROXY = {"host": "127.0.0.1", "port": 9}
FIREFOX_PREFERENCES = {
    "network.dns.localDomains": "attacker.test",
    "network.proxy.type": 1,
    "network.proxy.http": NO_PROXY["host"],
    "network.proxy.http_port": NO_PROXY["port"],
    "network.proxy.ssl": NO_PROXY["host"],
    "network.proxy.ssl_port": NO_PROXY["port"],
    "network.proxy.no_proxies_on": "attacker.test, .localhost",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.safebrowsing.blockedURIs.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    # Its viewer is a page that may not fetch.
    "devtools.jsonview.enabled": False,
}

_OPEN_WINDOW = "(url) => void window.open(url)"

#: The second is what a released Firefox wants to have before it takes another ``services.settings.server``.
FIREFOX_ENVIRONMENT = {"MOZ_DISABLE_CONTENT_SANDBOX": "1", "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"}

#: Makes a frame whose origin is opaque, so that its requests say ``Origin: null``.
MAKE_SANDBOX = """() => new Promise((loaded) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = "<!doctype html>";
    frame.onload = () => loaded();
    document.body.append(frame);
})"""


class Unavailable(Exception):
    """This engine is not here; the message says what to install."""


class Frame(Protocol):
    """A document that runs JavaScript."""

    def evaluate(self, function: str, argument: Any = None) -> Any:
        """Call a function with one JSON value, wait for its promise; the result as JSON. An expression will do, too."""

    def add_script(self, text: str) -> None:
        """Run a script in the global scope."""


class Page(Frame, Protocol):
    """A tab."""

    #: The errors that the console has printed so far, where the engine tells them.
    console: list[str]

    def goto(self, url: str) -> None:
        """Load another document and wait until it is there."""

    def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport, as near as the engine gets to it."""

    def sandboxed(self) -> Frame:
        """A new sandboxed iframe in this page."""

    def popup(self, url: str) -> Page:
        """The window that the page opens at this URL. WebKitGTK's driver lets no page open one."""

    def screenshot(self) -> bytes:
        """The viewport as PNG."""

    def close(self) -> None:
        """Close the tab."""


class Engine(Protocol):
    """A running browser."""

    name: str
    version: str
    #: a host name that leads to this machine, and which servers do not expect
    foreign_name: str

    def open(self, url: str, *, fresh: bool = False) -> Page:
        """Open a URL in a new tab.

        :param fresh: with an empty preflight cache. In Chromium and Firefox every tab has that; WebKit starts anew.
        """


def wait_until(page: Frame, condition: str) -> None:
    """Wait until this JavaScript expression is true in the page."""
    page.evaluate(
        f"""() => new Promise((done) => {{
            const look = () => ({condition}) ? done() : setTimeout(look, 20);
            look();
        }})"""
    )


def chromium_path() -> str:
    """Where Chromium is, or would be."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


def _program(variable: str, *names: str) -> str:
    """The path of a program, from the environment or PATH.

    :raises Unavailable: it is not there.
    """
    for candidate in filter(None, (os.environ.get(variable), *names)):
        if path := shutil.which(candidate):
            return path
    raise Unavailable(f"{names[0]} is not installed; set {variable} to its path if it is elsewhere")


# --- Chromium -------------------------------------------------------------------------------------------------------


class ChromiumEngine:
    """Around a browser of Playwright's, which other tests use as well."""

    name = "chromium"
    foreign_name = FOREIGN_NAMES[name]

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.version: str = browser.version

    def open(self, url: str, *, fresh: bool = False) -> Page:
        context = self._browser.new_context(ignore_https_errors=True)
        # Nobody is there to answer when Chromium asks whether the page may call this machine.
        context.grant_permissions(["local-network-access"])
        page = ChromiumPage(context.new_page())
        page.goto(url)
        return page


class ChromiumFrame:
    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def evaluate(self, function: str, argument: Any = None) -> Any:
        return self._frame.evaluate(function, argument)

    def add_script(self, text: str) -> None:
        self._frame.add_script_tag(content=text)


class ChromiumPage(ChromiumFrame):
    def __init__(self, page: Any) -> None:
        super().__init__(page.main_frame)
        #: Playwright's own page, for what only one engine needs to show.
        self.playwright = page
        self.console: list[str] = []
        page.on("console", lambda message: message.type == "error" and self.console.append(message.text.strip()))

    def goto(self, url: str) -> None:
        self.playwright.goto(url)

    def resize(self, width: int, height: int) -> None:
        self.playwright.set_viewport_size({"width": width, "height": height})

    def sandboxed(self) -> Frame:
        self.evaluate(MAKE_SANDBOX)
        return ChromiumFrame(self.playwright.frames[-1])

    def popup(self, url: str) -> Page:
        with self.playwright.expect_popup() as opening:
            self.evaluate(_OPEN_WINDOW, url)
        return ChromiumPage(opening.value)

    def screenshot(self) -> bytes:
        picture: bytes = self.playwright.screenshot()
        return picture

    def close(self) -> None:
        self.playwright.context.close()


# --- Firefox --------------------------------------------------------------------------------------------------------


class BiDi:
    """A client of WebDriver BiDi: commands in turn, and the events that came in between.

    https://w3c.github.io/webdriver-bidi/
    """

    def __init__(self, url: str) -> None:
        from websocket import create_connection

        # Firefox refuses a handshake that says which page it comes from.
        self._socket = create_connection(url, timeout=90, suppress_origin=True)
        self._id = 0
        self._listeners: dict[str, list[Any]] = {}

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result.

        :raises RuntimeError: the browser says that it failed.
        """
        self._id += 1
        self._socket.send(json.dumps({"id": self._id, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message["type"] == "event":
                entry = message["params"]
                for listener in self._listeners.get(entry.get("source", {}).get("context"), ()):
                    listener(entry)
            elif message["id"] == self._id:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def listen(self, context: str, listener: Any) -> None:
        """Hand the log entries of a context over as they come."""
        self._listeners.setdefault(context, []).append(listener)

    def close(self) -> None:
        self._socket.close()


#: A new profile of Firefox does not keep the answers to the first preflights. This makes some, until one is kept; the
#: server at this URL allows PUT and tells how many preflights it has answered.
WARM_UP = """async (url) => {
    const preflights = () => fetch(url).then((response) => response.json());
    for (let number = 0; number < 20; number++) {
        const before = await preflights();
        for (const _ of [1, 2]) await fetch(`${url}/${number}`, {method: "PUT", headers: {"X-Warm": "1"}});
        if (await preflights() === before + 1) return;
    }
    throw new Error("Firefox keeps no preflight answer");
}"""


class FirefoxEngine:
    """Headless, with a profile that is thrown away."""

    name = "firefox"
    foreign_name = FOREIGN_NAMES[name]

    def __init__(self, bidi: BiDi, version: str, servers: list[KeepingServer]) -> None:
        self._bidi = bidi
        self.version = version
        self._servers = servers

    @classmethod
    @contextmanager
    def running(cls, *arguments: str, preferences: Mapping[str, Any] | None = None) -> Iterator[FirefoxEngine]:
        """Start Firefox, with these arguments and preferences besides.

        :raises Unavailable: it is not here.
        """
        path = _program("FIREFOX", "firefox-esr", "firefox")
        try:
            import websocket  # noqa: F401
        except ImportError:
            raise Unavailable("websocket-client is not installed: `pip install websocket-client`") from None
        with ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True))
            values = {**FIREFOX_PREFERENCES, **(preferences or {})}
            lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in values.items())
            Path(profile, "user.js").write_text("\n".join(lines), encoding="utf-8")
            process = subprocess.Popen(
                [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                # Its content processes are its children: the group is ended as one.
                start_new_session=True,
                env={**os.environ, **FIREFOX_ENVIRONMENT, "HOME": profile},
            )
            stack.callback(end_group, process)
            output = process.stderr
            assert output is not None
            found = next(filter(None, (re.search(r"ws://[\d.:]+", line) for line in output)), None)
            if found is None:
                raise Unavailable(f"{path} ended before it listened")
            threading.Thread(target=_drain, args=(output,), daemon=True).start()
            bidi = BiDi(f"{found[0]}/session")
            stack.callback(bidi.close)
            new = bidi.command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
            bidi.command("session.subscribe", events=["log.entryAdded"])
            servers = [stack.enter_context(KeepingServer.running()) for _ in range(2)]
            yield cls(bidi, new["capabilities"]["browserVersion"], servers)

    def install(self, folder: Path) -> None:
        """Install the extension in this folder, until Firefox ends."""
        self._bidi.command("webExtension.install", extensionData={"type": "path", "path": str(folder)})

    def open(self, url: str, *, fresh: bool = False) -> Page:
        profile = self._bidi.command("browser.createUserContext")["userContext"]
        context = self._bidi.command("browsingContext.create", type="tab", userContext=profile)["context"]
        page = FirefoxPage(self._bidi, context, profile)
        if fresh:
            page.goto(self._servers[0].url)
            page.evaluate(WARM_UP, self._servers[1].url)
        page.goto(url)
        return page


def _drain(output: IO[str]) -> None:
    """Read to the end: a full pipe would stop its writer."""
    with output:
        for _ in output:
            pass


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process that was started in a session of its own, and what it started."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except ProcessLookupError:
        return
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class KeepingServer(ThreadingHTTPServer):
    """Allows PUT for longer than any browser keeps it, and counts the preflights."""

    daemon_threads = True
    preflights = 0

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[KeepingServer]:
        server = cls(("127.0.0.1", 0), _KeepingHandler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _KeepingHandler(BaseHTTPRequestHandler):
    server: KeepingServer

    def answer(self) -> None:
        self.server.preflights += self.command == "OPTIONS"
        body = str(self.server.preflights).encode()
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "X-Warm")
        self.send_header("Access-Control-Allow-Methods", "PUT")
        self.send_header("Access-Control-Max-Age", "1000000")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_OPTIONS = answer

    def log_message(self, format: str, *args: object) -> None:
        pass


class FirefoxFrame:
    def __init__(self, bidi: BiDi, context: str) -> None:
        self._bidi = bidi
        self._context = context

    def evaluate(self, function: str, argument: Any = None) -> Any:
        answer = self._bidi.command(
            "script.callFunction",
            functionDeclaration=f"""async (text) => {{
                const given = ({function});
                const result = await (typeof given === "function" ? given(JSON.parse(text)) : given);
                return JSON.stringify(result) ?? "null";
            }}""",
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            awaitPromise=True,
            target={"context": self._context},
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def add_script(self, text: str) -> None:
        self.evaluate(_ADD_SCRIPT, text)


_ADD_SCRIPT = "text => { document.head.append(Object.assign(document.createElement('script'), {text})); }"


class FirefoxPage(FirefoxFrame):
    def __init__(self, bidi: BiDi, context: str, profile: str) -> None:
        super().__init__(bidi, context)
        self._profile = profile
        self.console: list[str] = []
        bidi.listen(context, self._note)

    def _note(self, entry: dict[str, Any]) -> None:
        if entry["type"] == "console":
            self.console.append(f"LOG {entry['text']}")
        elif entry["level"] == "error":
            self.console.append(entry["text"])

    def goto(self, url: str) -> None:
        self._bidi.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def resize(self, width: int, height: int) -> None:
        self._bidi.command(
            "browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height}
        )

    def sandboxed(self) -> Frame:
        self.evaluate(MAKE_SANDBOX)
        tree = self._bidi.command("browsingContext.getTree", root=self._context)
        return FirefoxFrame(self._bidi, tree["contexts"][0]["children"][-1]["context"])

    def popup(self, url: str) -> Page:
        self.evaluate(_OPEN_WINDOW, url)
        tabs = self._bidi.command("browsingContext.getTree")["contexts"]
        (opened,) = (tab["context"] for tab in tabs if tab["originalOpener"] == self._context)
        return FirefoxPage(self._bidi, opened, self._profile)

    def screenshot(self) -> bytes:
        return b64decode(self._bidi.command("browsingContext.captureScreenshot", context=self._context)["data"])

    def close(self) -> None:
        self._bidi.command("browser.removeUserContext", userContext=self._profile)


# --- WebKit ---------------------------------------------------------------------------------------------------------


@contextmanager
def virtual_display() -> Iterator[str]:
    """Xvfb; the name of its display.

    :raises Unavailable: it is not here.
    """
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [_program("XVFB", "Xvfb"), "-displayfd", str(writing), "-nolisten", "tcp", "-screen", "0", "1400x1000x24"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with open(reading, encoding="ascii") as pipe:
            yield f":{pipe.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


def webkit_environment(display: str, home: str) -> dict[str, str]:
    """For a WebKitGTK that leaves nothing behind but in *home*."""
    places = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), home)
    # Its sandbox is built with user namespaces, which a container has not always.
    return {**os.environ, **places, "DISPLAY": display, "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1"}


def mini_browser() -> str:
    """The path of WebKitGTK's own browser, which is not meant for PATH.

    :raises Unavailable: it is not here.
    """
    found = sorted(Path("/usr").glob("lib*/**/webkit2gtk-4*/MiniBrowser"))
    return _program("MINI_BROWSER", *map(str, found), "MiniBrowser")


class WebKitEngine:
    """WebKitGTK's MiniBrowser. All tabs of one session share a profile; *fresh* starts a new session.

    Its driver tells nothing of the console: :func:`differential_lab.run_in_webkit` has another way.
    """

    name = "webkit"
    foreign_name = FOREIGN_NAMES[name]

    def __init__(self, driver: str, environment: dict[str, str]) -> None:
        self._path = driver
        self._environment = environment
        self._start()
        self.version: str = self._driver.capabilities["browserVersion"]

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[WebKitEngine]:
        """Start WebKit.

        :raises Unavailable: something that it needs is not here.
        """
        path = _program("WEBKIT_DRIVER", "WebKitWebDriver")
        try:
            import selenium  # noqa: F401
        except ImportError:
            raise Unavailable("selenium is not installed: `pip install selenium`") from None
        with (
            virtual_display() as display,
            tempfile.TemporaryDirectory(prefix="webkit-", ignore_cleanup_errors=True) as home,
        ):
            engine = cls(path, webkit_environment(display, home))
            try:
                yield engine
            finally:
                engine._stop()

    def _start(self) -> None:
        from selenium.webdriver import Remote
        from selenium.webdriver.remote.client_config import ClientConfig
        from selenium.webdriver.remote.remote_connection import RemoteConnection
        from selenium.webdriver.webkitgtk.options import Options
        from selenium.webdriver.webkitgtk.service import Service

        options = Options()
        options.add_argument("--automation")
        # As arguments: with the driver's own setting a session does not start now and then.
        options.add_argument("--proxy=http://{host}:{port}".format(**NO_PROXY))
        for host in ("127.0.0.1", "localhost"):
            options.add_argument(f"--ignore-host={host}")
        options.set_capability("acceptInsecureCerts", True)
        self._service = Service(self._path, env=self._environment)
        self._service.start()
        try:
            # Selenium's own class for WebKitGTK would wait for a session for ever.
            config = ClientConfig(remote_server_addr=self._service.service_url, timeout=120)
            driver = Remote(RemoteConnection(client_config=config), options=options)
        except BaseException:
            self._service.stop()
            raise
        driver.set_script_timeout(90)
        #: the window and frame where it is, so that nobody has to go there again
        driver.entered = None
        self._driver = driver

    def _stop(self) -> None:
        try:
            self._driver.quit()
        finally:
            self._service.stop()

    def open(self, url: str, *, fresh: bool = False) -> Page:
        if fresh:
            self._stop()
            self._start()
        # The first tab stays: without one there is no session.
        self._driver.switch_to.window(self._driver.window_handles[0])
        self._driver.switch_to.new_window("tab")
        self._driver.entered = None
        page = WebKitPage(self._driver, self._driver.current_window_handle)
        page.goto(url)
        return page


class WebKitFrame:
    def __init__(self, driver: Any, window: str, element: Any = None) -> None:
        self._driver = driver
        self._window = window
        self._element = element

    def _enter(self) -> None:
        if self._driver.entered == (self._window, self._element):
            return
        self._driver.entered = None
        self._driver.switch_to.window(self._window)
        self._driver.switch_to.default_content()
        if self._element is not None:
            self._driver.switch_to.frame(self._element)
        self._driver.entered = self._window, self._element

    def evaluate(self, function: str, argument: Any = None) -> Any:
        self._enter()
        told = self._driver.execute_async_script(
            f"""const [text, done] = arguments;
            (async () => {{
                const given = ({function});
                const result = await (typeof given === "function" ? given(JSON.parse(text)) : given);
                return {{result: JSON.stringify(result) ?? "null"}};
            }})().catch((error) => ({{error: String(error)}})).then(done);""",
            json.dumps(argument),
        )
        if "error" in told:
            raise RuntimeError(told["error"])
        return json.loads(told["result"])

    def add_script(self, text: str) -> None:
        self.evaluate(_ADD_SCRIPT, text)


class WebKitPage(WebKitFrame):
    def __init__(self, driver: Any, window: str) -> None:
        super().__init__(driver, window)
        self.console: list[str] = []

    def goto(self, url: str) -> None:
        self._enter()
        self._driver.get(url)

    def resize(self, width: int, height: int) -> None:
        self._enter()
        # The window can be set, the viewport is what its borders leave of it.
        self._driver.set_window_size(width, height)
        inner = self._driver.execute_script("return [innerWidth, innerHeight]")
        self._driver.set_window_size(2 * width - inner[0], 2 * height - inner[1])

    def sandboxed(self) -> Frame:
        self.evaluate(MAKE_SANDBOX)
        element = self._driver.find_elements("css selector", "iframe")[-1]
        return WebKitFrame(self._driver, self._window, element)

    def popup(self, url: str) -> Page:
        raise NotImplementedError("under WebKitGTK's driver window.open() returns null")

    def screenshot(self) -> bytes:
        self._enter()
        return b64decode(self._driver.get_screenshot_as_base64())

    def close(self) -> None:
        from selenium.common.exceptions import WebDriverException

        try:
            self._enter()
            self._driver.close()
            self._driver.entered = None
        except WebDriverException:
            # The session is gone: a fresh one took its place.
            return
