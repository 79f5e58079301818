"use strict";
// The pages work without this file. It keeps them up to date, sends the file of a new batch,
// and gives the search its key.

const staleAfter = 10; // seconds
const pollEvery = 5000;
const live = () => document.getElementById("live");

// The browser's zone is told once, so that times are in it.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && document.body.dataset.zone !== zone && !document.cookie.includes("volley_zone=" + encodeURIComponent(zone))) {
  document.cookie = "volley_zone=" + encodeURIComponent(zone) + "; path=/; max-age=31536000; samesite=strict";
  if (document.body.dataset.zone) refresh();
}

// "/" goes to the search.
document.addEventListener("keydown", (e) => {
  if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, [contenteditable]")) return;
  const box = document.getElementById("search");
  if (box) { e.preventDefault(); box.focus(); box.select(); }
});

// What changes is brought into the page node by node: texts and attributes at once; rows
// come, go and move only while neither the pointer nor the focus is among them.
let pending = null;
let readAt = Date.now();

function update(html) {
  const box = live();
  if (!box) return;
  const next = document.createElement("div");
  next.innerHTML = html; // it is of this server, and the policy runs no script in it
  pending = merge(box, next) ? null : html;
  const said = box.querySelector("[data-announce]")?.dataset.announce;
  const voice = document.getElementById("announce");
  if (said && voice && voice.dataset.last !== said) {
    if (voice.dataset.last !== undefined) voice.textContent = said;
    voice.dataset.last = said;
  }
}

// A pointer that rests keeps nothing waiting.
let movedAt = 0;
document.addEventListener("pointermove", () => { movedAt = Date.now(); }, { passive: true });
const busy = (node) => node.matches(":hover") && Date.now() - movedAt < 5000 || node !== live() && node.contains(document.activeElement);
const keyOf = (n) => n.nodeType === 1 ? n.tagName + "#" + (n.dataset.key || n.id || "") : n.nodeName;

// merge makes the children of one node like those of another; it is false where something
// had to wait.
function merge(old, next) {
  const a = [...old.childNodes], b = [...next.childNodes];
  if (a.length === b.length && a.every((n, i) => keyOf(n) === keyOf(b[i]))) {
    return a.map((n, i) => mergeNode(n, b[i])).every(Boolean);
  }
  if (busy(old)) {
    const known = new Map(b.map((n) => [keyOf(n), n]));
    for (const n of a) if (n.nodeType === 1 && known.has(keyOf(n))) mergeNode(n, known.get(keyOf(n)));
    return false;
  }
  const known = new Map(a.filter((n) => n.nodeType === 1).map((n) => [keyOf(n), n]));
  let whole = true;
  const kept = b.map((n) => {
    const same = n.nodeType === 1 && known.get(keyOf(n));
    if (!same) return n;
    known.delete(keyOf(n));
    whole = mergeNode(same, n) && whole;
    return same;
  });
  old.replaceChildren(...kept);
  return whole;
}

function mergeNode(old, next) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
    return true;
  }
  if (old.matches("form")) return true; // what is being filled in stays
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...next.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  return merge(old, next);
}
setInterval(() => { if (pending !== null) update(pending); }, 700);

// The page follows its stream while it is seen, and asks now and then where there is none.
// Of several windows that are seen one has a stream, since a browser keeps few connections to
// a host. Without locks, which need a secure context, each has its own.
let stream = null, poll = null, waiting = null, release = null;
const renewed = () => { readAt = Date.now(); age(); };

function follow() {
  if (!live()?.dataset.live || document.hidden || stream || waiting) return;
  if (!navigator.locks) { openStream(); return; }
  ask();
  waiting = new AbortController();
  navigator.locks.request("volley-stream", { signal: waiting.signal }, () => {
    waiting = null;
    openStream();
    return new Promise((done) => { release = done; });
  }).catch(() => { /* hidden meanwhile */ });
}
function openStream() {
  clearInterval(poll); poll = null;
  stream = new EventSource("/live?path=" + encodeURIComponent(location.pathname + location.search));
  stream.addEventListener("page", (e) => { update(e.data); renewed(); });
  stream.addEventListener("same", renewed);
  stream.addEventListener("gone", () => location.reload());
  stream.addEventListener("error", () => { stop(); ask(); setTimeout(follow, 3 * pollEvery); });
}
function stop() {
  waiting?.abort(); waiting = null;
  stream?.close(); stream = null;
  release?.(); release = null;
}
function ask() { poll ||= setInterval(refresh, pollEvery); }

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { "X-Console-Live": "true" } });
    if (answer.status === 401) { location.reload(); return; }
    if (answer.ok) { update(await answer.text()); renewed(); }
  } catch { /* it grows old, and says so */ }
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stop(); clearInterval(poll); poll = null; return; }
  if (live()?.dataset.live) { refresh(); follow(); }
});
follow();

// Data that is older than it looks is grey, and says so. The server tells how old it was.
function age() {
  const box = live();
  if (!box?.dataset.live) return;
  const told = Number(document.getElementById("data-age")?.dataset.age || 0);
  const old = Date.now() - readAt > staleAfter * 1000 || told > staleAfter;
  document.body.classList.toggle("old", old);
  const note = document.getElementById("stale");
  if (old && note.hidden) {
    const at = new Date(readAt - told * 1000);
    const word = document.getElementById("stale-at");
    word.textContent = at.toLocaleTimeString("en-GB", { timeZoneName: "short" });
    word.dateTime = at.toISOString();
  }
  note.hidden = !old;
}
setInterval(age, 1000);

// A new batch: the file stays in the browser and goes along with each step.
const form = document.getElementById("new");
if (form) {
  const drop = form.querySelector(".drop"), file = form.querySelector("input[type=file]");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.toggle("over", name === "dragover"); });
  }
  drop.addEventListener("drop", (e) => { if (e.dataTransfer.files.length) { file.files = e.dataTransfer.files; file.dispatchEvent(new Event("change", { bubbles: true })); } });
  file.addEventListener("change", () => step("/new/check"));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    step(e.submitter?.getAttribute("formaction") || form.getAttribute("action"));
  });
}

async function step(to) {
  const out = document.getElementById("result");
  if (!form.reportValidity()) return;
  const data = new FormData(form);
  const given = data.get("file");
  data.delete("file"); data.append("file", given); // behind all that says how to read it
  form.classList.add("busy-form");
  out.setAttribute("aria-busy", "true");
  const buttons = [...form.querySelectorAll("button")];
  for (const b of buttons) b.disabled = true;
  try {
    const answer = await fetch(to, { method: "POST", body: data, headers: { "X-CSRF-Token": document.querySelector("meta[name=csrf]").content, "X-Console-Live": "true" } });
    const next = document.createElement("div");
    next.innerHTML = await answer.text();
    if (to === "/new" && answer.ok) { location.href = next.querySelector("[data-started]")?.dataset.started || location.href; return; }
    // What a test or a refused start answers leaves the file's columns and the rest as they are.
    const said = to !== "/new/check" && document.getElementById("said");
    if (said) {
      for (const a of next.querySelectorAll("a")) if (answer.ok) a.target = "_blank"; else a.remove();
      for (const h of next.querySelectorAll("h1")) h.tabIndex = -1;
    }
    const place = said || out;
    place.replaceChildren(...(next.querySelector("#result") || next).childNodes);
    place.querySelector("h2, h1")?.focus();
  } catch {
    (document.getElementById("said") || out).textContent = "The console did not answer. Nothing was started; try again.";
  } finally {
    form.classList.remove("busy-form");
    out.removeAttribute("aria-busy");
    for (const b of buttons) b.disabled = false;
  }
}
