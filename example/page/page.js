// The page: two ways in. Either the token is pasted and a small client written by hand uses it, step by step (client.js),
// or the page logs in with the official SDK (login.js).
import { Client, NotTried, STEPS } from "./client.js";
import { GONE, Row, diary, em, headline, ui } from "./drawing.js";
import * as login from "./login.js";

const facts = await (await fetch("/facts.json")).json();

/** Take one step of the hand-written client and draw it. */
async function take(step, row, client) {
  row.state = "running";
  const show = (...content) => row.result(null, ...content);
  const before = (await diary()).length;
  let outcome = {};
  let error = null;
  try {
    outcome = await step.run(client, show);
  } catch (caught) {
    error = caught;
  }
  const seen = (await diary()).slice(before);
  const requests = seen.filter((entry) => entry.kind === "request" && entry.origin === location.origin);
  row.servers(requests, step.needsPreflight);
  const tried = !(error instanceof NotTried);
  if (!error) row.result("good", ...(outcome.got ? [outcome.got] : row.find(".result .value").childNodes));
  else if (!tried) row.result(null, error.message);
  else row.result("bad", `${error.name}: ${error.message}${requests.length ? "" : "\nno server saw a request"}`);
  row.detail(outcome.detail);
  row.state = error ? (tried ? "blocked" : "skipped") : "allowed";
  const messages = seen.filter((entry) => entry.kind === "mcp").length;
  return { passed: !error, tried, messages, answered: requests.length > 0 };
}

/** All steps with the pasted token. On a foreign origin that one leads which no preflight stops, only the server. */
async function run() {
  const alone = (step) => step.needsPreflight === false;
  const steps = facts.allowed ? STEPS : [...STEPS.filter(alone), ...STEPS.filter((step) => !alone(step))];
  const rows = steps.map((step) => new Row(step));
  ui.steps.replaceChildren(...rows.map((row) => row.element));
  headline("none", "Trying to connect …");

  const client = new Client(facts.endpoint, ui.token.value.trim());
  const count = { passed: 0, stopped: 0, skipped: 0, messages: 0, answered: 0 };
  for (const [index, step] of steps.entries()) {
    const { passed, tried, messages, answered } = await take(step, rows[index], client);
    count[passed ? "passed" : tried ? "stopped" : "skipped"] += 1;
    count.messages += messages;
    count.answered += answered;
    ui.tally.textContent =
      `${count.passed} steps through, ${count.stopped} stopped${count.skipped ? `, ${count.skipped} not tried` : ""} · ` +
      `${count.messages || "no"} messages got past the guard`;
  }
  if (!count.answered) headline("bad", em("The MCP server does not answer."), " Is it running?");
  else if (!facts.allowed) headline("bad", "This page’s origin is ", em("not allowed"), ": it is kept out.");
  else if (client.refused) headline("bad", "This page is allowed, but ", em("the token is not valid"), ".");
  else if (count.stopped) headline("bad", "This page is allowed, but ", em("not every step went through"), ".");
  else headline("good", "This page’s origin is ", em("allowed"), ": it is let in.");
}

/** Do one thing at a time, and say so where the example itself is gone. */
async function busy(work) {
  const buttons = [...document.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  delete document.body.dataset.done;
  try {
    await work();
  } catch (error) {
    const isGone = await fetch("/facts.json").then(() => false, () => true);
    headline("bad", ...(isGone ? GONE : [em("This did not work"), `: ${error.message}`]));
    if (isGone) ui.tally.textContent = "";
    if (!isGone) console.error(error);
  }
  for (const button of buttons) button.disabled = false;
  ui.next.hidden = !login.isLoggedIn();
  document.body.dataset.done = "";
}

ui.here.textContent = location.origin;
ui.endpoint.textContent = facts.endpoint;
ui.authorization.textContent = facts.authorization;
ui.token.value = facts.token;
ui.other.href = facts.allowed ? facts.pages.foreign : facts.pages.allowed;
ui.other.textContent = facts.allowed ? "The same page on a foreign origin" : "The same page on the allowed origin";
ui.paste.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(async () => {
    login.forget();
    await run();
  });
});
ui.login.addEventListener("click", () => busy(() => login.start(facts)));
ui.note.addEventListener("click", () => busy(() => login.writeNote(facts)));
ui.expire.addEventListener("click", () => busy(() => login.expire(facts)));
ui.logout.addEventListener("click", () => busy(() => login.logOut(facts)));

busy(() => (location.pathname === "/callback" ? login.comeBack(facts) : run()));
