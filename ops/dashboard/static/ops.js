// What pages of the dashboard do in the browser: follow what changes, act through the API,
// count ages, and remember the colours. Every part finds its elements by data attributes.

const RETRY_MS = 2000;
const RETRY_MAX_MS = 30000;
// Older than some renderings, what is shown may not hold any more.
const STALE_MS = 10000;
const SAID_MS = 8000;

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* Colours: as the system has them, or as was chosen here. */

const THEMES = ["system", "light", "dark"];
const chosen = () => {
  const theme = localStorage.getItem("theme");
  return THEMES.includes(theme) ? theme : "system";
};

function colour(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of all("[data-theme-toggle]")) {
    button.setAttribute("aria-label", `Colours: ${theme === "system" ? "as the system" : theme}`);
    button.title = button.getAttribute("aria-label");
  }
}

function toggleTheme() {
  const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length];
  localStorage.setItem("theme", next);
  colour(next);
}

/* Fragments: what differs is changed in place, so focus, scroll and half-typed inputs stay. */

const keyOf = (node) =>
  node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "";
// What people do to an element is theirs.
const KEPT = {
  DETAILS: ["open"],
  DIALOG: ["open"],
  FORM: ["aria-busy"],
  INPUT: ["value", "checked"],
  OPTION: ["selected"],
};

function syncAttributes(from, to) {
  // Nobody types into what is hidden: the server says what it is.
  const kept = from.type === "hidden" ? [] : KEPT[from.nodeName] ?? [];
  for (const { name, value } of [...to.attributes]) {
    if (!kept.includes(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!kept.includes(name) && !to.hasAttribute(name)) from.removeAttribute(name);
  }
}

const isSame = (from, to) =>
  from.nodeType === to.nodeType && from.nodeName === to.nodeName && keyOf(from) === keyOf(to);

function syncNode(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  syncAttributes(from, to);
  // Its text is what was typed, or the age that is counted here.
  if (from.nodeName === "TEXTAREA" || from.hasAttribute("data-age")) return;
  syncChildren(from, to);
}

function syncChildren(from, to) {
  const keyed = new Map();
  for (const child of from.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const moved = keyed.get(keyOf(wanted));
    if (moved && isSame(moved, wanted)) {
      if (moved === at) at = at.nextSibling;
      else from.insertBefore(moved, at);
      keyed.delete(keyOf(wanted));
      syncNode(moved, wanted);
    } else if (at && !keyOf(at) && isSame(at, wanted)) {
      const next = at.nextSibling;
      syncNode(at, wanted);
      at = next;
    } else {
      from.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
  for (const left of keyed.values()) left.remove();
}

function put(id, html) {
  const element = document.getElementById(id);
  if (!element) return;
  // Read as what stands in such an element: rows are rows only in a table.
  const fresh = element.cloneNode(false);
  fresh.innerHTML = html;
  syncChildren(element, fresh);
  countAges();
}

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) {
    location.assign(answer.url);
    return;
  }
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of all("[data-live]", parsed)) {
    const shown = document.getElementById(fresh.id);
    if (shown) syncChildren(shown, fresh);
  }
  countAges();
}

/* Ages: the server writes when, the browser counts how long ago. */

let skewMs = 0;
let renderedAt = Date.now();

function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}

function countAges() {
  const now = Date.now() + skewMs;
  for (const time of all("time[data-age]")) {
    const ms = now - Date.parse(time.dateTime);
    const text = ms >= 0 ? `${ago(ms)} ago` : `in ${ago(-ms)}`;
    if (time.textContent !== text) time.textContent = text;
  }
  countPulse();
}

/* The stream: one per page; it says whether it is live, and of when the data is. */

let last = "";
let retryMs = RETRY_MS;
let stream;

function countPulse() {
  const pulse = find("[data-pulse]");
  if (!pulse) return;
  const age = Date.now() - renderedAt;
  const state = stream?.readyState === EventSource.OPEN ? "live" : "reconnecting";
  pulse.dataset.state = state === "live" && age > STALE_MS ? "stale" : state;
  const word = find("[data-pulse-state]", pulse);
  const text = pulse.dataset.state === "stale" ? "live, but nothing new comes" : state;
  if (word.textContent !== text) word.textContent = text;
  find("[data-pulse-age]", pulse).textContent = `data of ${ago(age)} ago`;
}

function watch() {
  const page = location.pathname + location.search;
  const asked = new URLSearchParams({ page, since: last });
  stream = new EventSource(`/ops/live?${asked}`);
  stream.addEventListener("open", () => {
    retryMs = RETRY_MS;
    countPulse();
  });
  stream.addEventListener("fragment", (event) => {
    last = event.lastEventId;
    const { id, html } = JSON.parse(event.data);
    put(id, html);
  });
  stream.addEventListener("rendered", (event) => {
    renderedAt = Date.now();
    skewMs = JSON.parse(event.data).at - renderedAt;
    countPulse();
  });
  stream.addEventListener("error", () => {
    countPulse();
    if (stream.readyState === EventSource.CLOSED) again();
  });
}

// A browser gives up on a stream that was refused: full, starting, or nobody is logged in.
async function again() {
  const wait = retryMs * (0.5 + Math.random());
  retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
  await new Promise((resolve) => setTimeout(resolve, wait));
  try {
    await refresh();
  } catch {
    // The server is away; the next attempt comes later.
  }
  watch();
}

/* Acting: a form names an operation of the API. */

// Of forms whose last answer was lost. In an attribute, the next rendering would take them away.
const keys = new WeakMap();

function say(text, tone) {
  const said = document.createElement("p");
  said.className = `toast ${tone}`;
  said.textContent = text;
  find("[data-status]").append(said);
  setTimeout(() => said.remove(), SAID_MS);
}

function confirmed(text) {
  const dialog = find("#confirm");
  find("#confirm-text").textContent = text;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  const type = field.dataset.type ?? (field.type === "number" ? "number" : "text");
  if (field.value === "" && field.dataset.empty !== "keep") {
    return field.dataset.empty === "null" ? null : undefined;
  }
  if (type === "number" || type === "integer") return Number(field.value);
  if (type === "boolean") return field.value === "true";
  return type === "json" ? JSON.parse(field.value) : field.value;
}

function bodyOf(form, submitter) {
  const body = {};
  for (const field of form.elements) {
    const isButton = field.nodeName === "BUTTON" || field.type === "submit";
    if (!field.name || field.disabled || (isButton && field !== submitter)) continue;
    if (field.type === "radio" && !field.checked) continue;
    const value = valueOf(field);
    if (value !== undefined) body[field.name] = value;
  }
  return body;
}

function requestOf(form, submitter) {
  const operation = submitter?.dataset.api ?? form.dataset.api;
  const [method, template] = operation.split(" ");
  const body = bodyOf(form, submitter);
  const path = template.replace(/\{(\w+)\}/g, (_, name) => {
    const value = encodeURIComponent(body[name] ?? "");
    delete body[name];
    return value;
  });
  const headers = { "X-CSRF-Token": find('meta[name="csrf-token"]').content };
  if ("idempotent" in form.dataset) {
    // The same intent keeps its key: sent again after a lost answer, it happens once.
    if (!keys.has(form)) keys.set(form, crypto.randomUUID());
    headers["Idempotency-Key"] = keys.get(form);
  }
  if (form.dataset.ifMatch) headers["If-Match"] = form.dataset.ifMatch;
  const isEmpty = Object.keys(body).length === 0 && !("body" in form.dataset);
  if (!isEmpty) headers["Content-Type"] = "application/json";
  return [path, { method, headers, body: isEmpty ? undefined : JSON.stringify(body) }];
}

async function act(form, submitter) {
  const question = submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !(await confirmed(question))) return;
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(...requestOf(form, submitter));
    const told = await answer.json().catch(() => ({}));
    const isOpen = answer.status >= 500 || told.code === "idempotency_in_progress";
    if (!isOpen) keys.delete(form);
    if (answer.ok) {
      say(submitter?.dataset.done ?? form.dataset.done ?? "Done.", "good");
      form.reset();
      form.dispatchEvent(new CustomEvent("done", { bubbles: true, detail: told }));
    } else {
      say(told.detail ?? `It failed with status ${answer.status}.`, "bad");
    }
    if (answer.status === 401) location.reload();
  } catch (error) {
    say(`It is not known whether it happened: ${error.message}. Try it again.`, "bad");
  } finally {
    form.removeAttribute("aria-busy");
  }
  // What is shown catches up by itself, too; nobody need wait for it to act again.
  refresh().catch(() => countPulse());
}

/* Wiring. */

// Before anything is painted; the button is there once the document is.
colour(chosen());
if (document.readyState === "loading") addEventListener("DOMContentLoaded", start, { once: true });
else start();

function start() {
  colour(chosen());
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.api && !event.submitter?.dataset.api) return;
    event.preventDefault();
    if (form.getAttribute("aria-busy") !== "true") act(form, event.submitter);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-toggle]")) toggleTheme();
  });
  // Where the navigation is a bar that scrolls.
  find(".pages [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (find("[data-live-page]")) {
    watch();
    countAges();
    setInterval(countAges, 1000);
  }
}
