#!/usr/bin/env python3
"""Opens reports in headless Chromium and fails on what a reader would mind.

    tests/report/browser.py FILE.html... [--screenshots DIR]

Each page is opened 400 and 1400 pixels wide, light and dark. It fails on a console message, on any request but
the page itself and what is embedded in it, on a picture that does not decode, on a page wider than its window, and
on scripts. Speaks the DevTools protocol over a pipe: needs Python and Chromium, nothing else. Exit 77: no Chromium.
"""
import argparse
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

WIDTHS = (400, 1400)
SCHEMES = ("light", "dark")
TIMEOUT_S = 240


class Browser:
    """Chromium, and the messages that came while an answer was awaited."""

    def __init__(self, program, profile):
        to_browser, from_us = os.pipe()
        from_browser, to_us = os.pipe()

        def take_pipes():  # the browser reads file 3 and writes file 4
            os.dup2(to_browser, 10)
            os.dup2(to_us, 11)
            os.dup2(10, 3)
            os.dup2(11, 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            close_fds=False, preexec_fn=take_pipes, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(to_us)
        self.writer, self.reader = os.fdopen(from_us, "wb", 0), os.fdopen(from_browser, "rb", 0)
        self.events, self.rest, self.last = [], b"", 0

    def message(self):
        while b"\0" not in self.rest:
            data = self.reader.read(1 << 20)
            if not data:
                raise SystemExit("browser.py: Chromium ended early")
            self.rest += data
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def ask(self, method, session=None, **parameters):
        self.last += 1
        asked = {"id": self.last, "method": method, "params": parameters}
        if session:
            asked["sessionId"] = session
        self.writer.write(json.dumps(asked).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == self.last:
                if "error" in message:
                    raise SystemExit(f"browser.py: {method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def close(self):
        self.writer.close()
        self.process.terminate()
        self.process.wait()


def complaints(browser, url):
    """What the events since the page was opened say against it."""
    for event in browser.events:
        method, said = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            asked = said["request"]["url"]
            if asked != url and not asked.startswith("data:"):
                yield f"asks for {asked[:200]}"
        elif method == "Log.entryAdded":
            yield f"console: {said['entry']['text'][:300]}"
        elif method == "Runtime.consoleAPICalled":
            yield f"console: {json.dumps(said['args'])[:300]}"
        elif method == "Runtime.exceptionThrown":
            yield f"exception: {said['exceptionDetails']['text'][:300]}"


def page_complaints(browser, session, width):
    """What the page itself shows when it is asked."""
    asked = browser.ask("Runtime.evaluate", session, returnByValue=True, expression="""({
        wide: document.documentElement.scrollWidth,
        scripts: document.scripts.length
            + [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/i.test(a.name))).length,
        broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length,
        styled: getComputedStyle(document.body).maxWidth,
        title: document.title})""")["result"]["value"]
    if asked["wide"] > width:
        yield f"is {asked['wide']} pixels wide"
    if asked["scripts"]:
        yield f"has {asked['scripts']} scripts"
    if asked["broken"]:
        yield f"has {asked['broken']} pictures that do not decode"
    if asked["styled"] == "none":
        yield "has lost its style"
    if not asked["title"]:
        yield "has no title"


def look(browser, path, width, scheme, folder):
    """Opens one page one way. Returns what is wrong."""
    url = pathlib.Path(path).resolve().as_uri()
    target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
    session = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Log", "Runtime"):
        browser.ask(f"{domain}.enable", session)
    browser.ask("Emulation.setDeviceMetricsOverride", session, width=width, height=900, deviceScaleFactor=1,
                mobile=width < 800)
    browser.ask("Emulation.setEmulatedMedia", session,
                features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.ask("Page.navigate", session, url=url)
    browser.wait("Page.loadEventFired")
    wrong = [*page_complaints(browser, session, width), *complaints(browser, url)]
    if folder:
        shot = browser.ask("Page.captureScreenshot", session, captureBeyondViewport=True)["data"]
        name = f"{pathlib.Path(path).stem}-{width}-{scheme}.png"
        (pathlib.Path(folder) / name).write_bytes(base64.b64decode(shot))
    browser.ask("Target.closeTarget", targetId=target)
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", metavar="FILE.html")
    parser.add_argument("--screenshots", metavar="DIR")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        print("skipped: no Chromium here (Debian: apt-get install chromium)")
        sys.exit(77)
    signal.alarm(TIMEOUT_S)
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        for path in options.pages:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    for wrong in look(browser, path, width, scheme, options.screenshots):
                        print(f"{path}, {width} pixels, {scheme}: {wrong}")
                        failed += 1
        browser.close()
    print(f"{len(options.pages)} pages, {failed} complaints")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
