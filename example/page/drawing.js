// Draws steps: what the browser sent, as the servers wrote it down, and what JavaScript got.

export const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));

/** What the servers have seen so far. */
export const diary = async () => (await fetch("/diary.json")).json();

/** The entry `index` of the diary is drawn already. Kept in the tab, because a log-in leaves the page and comes back. */
const isDrawn = {
  all: () => JSON.parse(sessionStorage.getItem("drawn") ?? "[]"),
  add: (indexes) => sessionStorage.setItem("drawn", JSON.stringify([...isDrawn.all(), ...indexes])),
};

/** Take no notice of what the servers have seen up to now. */
export async function forgetThePast() {
  const entries = await diary();
  sessionStorage.setItem("drawn", JSON.stringify([...entries.keys()]));
}

/** The new entries that `wanted` wants, of this page or of a navigation. Each is given out once. */
export async function news(wanted) {
  const drawn = new Set(isDrawn.all());
  const found = [...(await diary()).entries()].filter(([index, entry]) => !drawn.has(index) && wanted(entry));
  isDrawn.add(found.map(([index]) => index));
  return found.map(([, entry]) => entry);
}

/** A step on the page. */
export class Row {
  constructor({ title, why }) {
    this.element = ui.step.content.cloneNode(true).firstElementChild;
    this.find("h2").textContent = title;
    this.find(".why").textContent = why;
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  set state(state) {
    this.element.dataset.state = state;
  }

  put(box, verdict, ...content) {
    const element = this.find(box);
    if (verdict) element.dataset.verdict = verdict;
    element.querySelector(".value").replaceChildren(...content);
  }

  result(verdict, ...content) {
    this.put(".result", verdict, ...content);
  }

  detail(text) {
    this.find(".detail").textContent = text ?? "";
  }

  /** Say in the first two boxes what the servers saw; with `needsPreflight`, one that was not sent is cached. */
  servers(entries, needsPreflight = true) {
    const preflight = entries.find((entry) => entry.preflight);
    const requests = entries.filter((entry) => !entry.preflight);
    const text = (entry) => `${entry.method} ${entry.status}${entry.reason ? `\n${entry.reason}` : ""}`;
    if (preflight) this.put(".preflight", preflight.reason ? "bad" : "good", text(preflight));
    else if (!requests.length) this.put(".preflight", null, "—");
    else this.put(".preflight", null, needsPreflight ? "cached, not sent again" : "none needed");
    if (requests.length) {
      this.put(".request", requests.some((entry) => entry.reason) ? "bad" : "good", requests.map(text).join("\n"));
    } else {
      this.put(".request", preflight ? "bad" : null, preflight ? "never sent" : "—");
    }
    if (entries.length) this.headers(entries);
  }

  /** The headers of these exchanges, to be unfolded; those that CORS is about stand out. */
  headers(entries) {
    const lines = entries.flatMap(({ method, path, status, headers }) => [
      [`${method} ${path}`],
      ...headers.request,
      [`→ ${status}`],
      ...headers.response,
      [""],
    ]);
    const drawn = lines.map(([name, value]) => {
      const line = document.createElement("code");
      line.className = value === undefined ? "start" : /^(access-control-|origin$|vary$)/i.test(name) ? "cors" : "other";
      line.textContent = value === undefined ? name : `${name}: ${value}`;
      return line;
    });
    this.find(".headers").replaceChildren(...drawn);
    this.find("details").hidden = false;
  }
}

/** The head of the page: a verdict (`good`, `bad`, `none`) and the words for it, `em` coloured. */
export function headline(verdict, ...words) {
  document.body.dataset.verdict = verdict;
  ui.headline.replaceChildren(
    ...words.map((word) => (typeof word === "string" ? word : Object.assign(document.createElement("em"), word))),
  );
}

export const em = (textContent) => ({ textContent });

/** Said instead of an exception where the example itself does not answer any more. */
export const GONE = [em("The example has stopped."), " Start it again with python example_app.py."];
