// What page_node tells, drawn; what is pressed, told to it. Everything that is decided is decided there.
"use strict";

const byId = (id) => document.getElementById(id);
const SILENT_MS = 12000; // page_node sends something every five seconds
const PICTURE_MS = 200;
const PAUSE_MS = 600; // in which a press would have meant the button as it was before
const QUESTIONS = {
  discard: (episode) => `Discard ${episode}? It cannot be brought back.`,
  again: (episode) => `Discard ${episode} and record it again? It cannot be brought back.`,
  save: (episode) => `${episode} did not pass: keep it all the same?`,
};
const STREAM_STATES = { ok: "ok", warn: "slow", error: "silent", idle: "idle", unknown: "?" };

let state = null;
let key = null; // what only this page can read: header and value
let heardAt = -SILENT_MS;
let elapsed = { told: null, at: 0 };
let countdown = { told: null, at: 0 };
let episodes = { version: null, loading: false };
let primaryChangedAt = -PAUSE_MS;
let asksAt = 0;
const looks = new Map(); // camera -> img

// ---- from page_node

function connect() {
  const events = new EventSource("/events");
  events.addEventListener("hello", (event) => { key = JSON.parse(event.data); heard(); });
  events.addEventListener("state", (event) => { state = JSON.parse(event.data); heard(); draw(); });
  events.addEventListener("error", () => {
    heardAt = -SILENT_MS;
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  });
}

function heard() { heardAt = performance.now(); }

function online() { return state !== null && performance.now() - heardAt < SILENT_MS; }

async function send(action, more = {}) {
  if (!key || !state) return;
  const order = { action, episode: state.episode, ...more };
  try {
    const answer = await fetch("/do", {
      method: "POST",
      headers: { "Content-Type": "application/json", [key.header]: key.csrf },
      body: JSON.stringify(order),
    });
    tell(answer.ok ? "" : (await answer.text()).trim());
  } catch {
    tell("page_node does not answer: is it running?");
  }
}

let toldUntil = 0;
function tell(sentence) {
  toldUntil = sentence ? performance.now() + 6000 : 0;
  show("fault", sentence);
}

async function loadEpisodes(version) {
  if (episodes.loading || episodes.version === version) return;
  episodes.loading = true;
  try {
    const answer = await fetch("/episodes");
    if (answer.ok) { drawEpisodes(await answer.json()); episodes.version = version; }
  } finally { episodes.loading = false; }
}

// ---- drawn

function view() {
  if (!online())
    return { tone: "off", word: "OFFLINE", detail: "no connection to page_node" };
  if (state.phase === "countdown")
    return { tone: "count", word: "GET READY", clock: String(Math.ceil(left())), detail: "recording begins soon" };
  if (state.busy === "reset")
    return { tone: "off", word: "SETTING BACK", detail: "the scene is being set back" };
  if (state.busy === "stop" || state.busy === "save")
    return { tone: "off", word: state.busy === "stop" ? "JUDGING" : "SAVING", detail: state.episode };
  if (state.busy === "set_aside")
    return { tone: "off", word: "SETTING ASIDE", detail: state.episode };
  if (!state.there)
    return { tone: "off", word: "NO RECORDER", detail: "recorder_node does not report: is it running?" };
  if (state.state === "recording")
    return { tone: "live", word: "RECORDING", clock: time(recorded()), detail: state.episode };
  if (state.state === "stopped") {
    const [level, ...reasons] = state.verdict.split(": ");
    return { tone: level.toLowerCase(), word: level || "STOPPED", clock: time(state.elapsed_s),
      detail: `${state.episode}: keep it or discard it?`, reasons: reasons.join(": ") };
  }
  return { tone: "ready", word: "READY", detail: "set the scene back, then start" };
}

function draw() {
  drawBanner();
  drawButtons();
  byId("task").textContent = state.task;
  byId("browsers").textContent = state.browsers;
  byId("space").textContent = space();
  byId("saved").textContent = state.more === null ? state.saved : `${state.saved}, ${state.more} more to save`;
  drawCameras(state.cameras);
  rows("streams", state.streams.map(streamRow));
  rows("nodes", state.nodes.map((node) => line(node.level, node.level, node.name, "", node.message)));
  rows("said", state.said.slice().reverse().map(saidRow));
  show("left-over", state.phase === "ready" ? state.left_over : "");
  if (performance.now() > toldUntil) show("fault", state.there ? problem() : "");
  loadEpisodes(state.episodes);
}

function drawBanner() {
  const now = view();
  byId("columns").dataset.old = String(!online());
  byId("banner").dataset.tone = now.tone;
  write("state", now.word);
  write("clock", now.clock || "");
  write("detail", now.detail);
  const reasons = now.reasons ? now.reasons.split("; ") : [];
  if (byId("reasons").dataset.told !== now.reasons) {
    byId("reasons").dataset.told = now.reasons;
    rows("reasons", reasons.map((reason) => element("li", "", reason)));
  }
  document.title = `${now.word} ${now.clock || ""}`.trim();
}

function problem() {
  const recorder = state.nodes.find((node) => node.level === "error");
  return recorder ? `${recorder.name}: ${recorder.message}` : "";
}

function drawButtons() {
  const on = online() && state.there && (!state.busy || state.busy === "note");
  const inHand = on && (state.phase === "recording" || state.phase === "judged");
  const act = { recording: "stop", countdown: "cancel" }[state.phase] || "start";
  const primary = byId("primary");
  if (primary.dataset.act !== act) {
    if (primary.dataset.act) primaryChangedAt = performance.now();
    primary.dataset.act = act;
    primary.replaceChildren({ start: "Start ", stop: "Stop ", cancel: "Cancel " }[act], element("kbd", "", "s"));
  }
  const isNew = performance.now() - primaryChangedAt < PAUSE_MS;
  primary.disabled = !on || state.phase === "judged" || isNew;
  byId("save").disabled = !inHand || state.phase !== "judged";
  byId("reset").hidden = !state.sets_back;
  byId("reset").disabled = !on || state.phase !== "ready";
  for (const id of ["discard", "again", "aside", "success", "failure", "text", "add"]) byId(id).disabled = !inHand;
  byId("success").setAttribute("aria-pressed", String(state.marks.success === true));
  byId("failure").setAttribute("aria-pressed", String(state.marks.success === false));
  const asks = inHand ? state.asks : "";
  if (asks !== (byId("confirm").dataset.asks || "")) {
    byId("confirm").hidden = !asks;
    byId("confirm").dataset.asks = asks;
    byId("question").textContent = QUESTIONS[asks] ? QUESTIONS[asks](state.episode) : "";
    byId("yes").textContent = asks === "save" ? "Yes, keep it" : "Yes, discard it";
    asksAt = performance.now();
    if (asks) byId("no").focus();
  }
  byId("yes").disabled = performance.now() - asksAt < PAUSE_MS;
}

function drawCameras(names) {
  byId("cameras").hidden = names.length === 0;
  for (const name of names) {
    if (looks.has(name)) continue;
    const figure = element("figure");
    const image = element("img");
    image.alt = `preview of camera ${name}`;
    const caption = element("figcaption", "", name);
    figure.append(image, caption);
    byId("cameras").append(figure);
    looks.set(name, image);
    look(name, image, caption);
  }
}

// A picture is asked for when the last one is there, and only while somebody can see it.
async function look(name, image, caption) {
  let pause = PICTURE_MS;
  if (!document.hidden) {
    try {
      const answer = await fetch(`/previews/${encodeURIComponent(name)}`);
      if (answer.status === 200) {
        await put(image, await answer.blob());
        caption.textContent = name;
      } else {
        pause = answer.status === 204 ? PICTURE_MS : 2000;
        caption.textContent = `${name}: ${answer.status === 204 ? "no picture yet" : (await answer.text()).trim()}`;
      }
    } catch { pause = 2000; }
  }
  setTimeout(() => look(name, image, caption), pause);
}

function put(image, blob) {
  return new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => { image.src = reader.result; done(); };
    reader.onerror = done;
    reader.readAsDataURL(blob);
  });
}

function streamRow(stream) {
  const row = element("tr");
  const name = element("td", "", stream.name);
  name.append(element("div", "soft", stream.topic));
  const rate = element("td", "number", stream.rate_hz === null ? "-" : stream.rate_hz.toFixed(1));
  rate.append(element("div", "soft", `of ${stream.declared_hz}`));
  const from = element("td", "soft hide-small", stream.from.join(", ") || "nobody");
  const level = element("td");
  level.append(chip(stream.level, STREAM_STATES[stream.level]));
  row.append(name, rate, element("td", "number", age(stream.age_s)), from, level);
  return row;
}

function drawEpisodes(list) {
  const shown = list.rows.length;
  byId("total").textContent = shown < list.total ? `(${shown} newest of ${list.total})` : `(${list.total})`;
  rows("episodes", list.rows.map(episodeRow));
}

function episodeRow(row) {
  if (row.fault) return line("fail", "unread", row.name, "", row.fault);
  const label = row.success === null ? "" : row.success ? " · success" : " · failure";
  const words = [row.note, ...row.reasons].filter(Boolean).join(" · ");
  return line(row.level.toLowerCase(), row.level, row.name + label, time(row.duration_s), words);
}

function saidRow(said) {
  const item = element("li");
  item.append(element("time", "", said.at), element("span", "", said.text));
  if (said.level !== "ok") item.append(chip(said.level, said.level));
  return item;
}

function line(tone, word, text, right = "", below = "") {
  const item = element("li");
  item.append(chip(tone, word), element("span", "", text), element("span", "number", right));
  if (below) item.append(element("span", "soft wide", below));
  return item;
}

// ---- small things

function element(kind, classes = "", text = "") {
  const made = document.createElement(kind);
  if (classes) made.className = classes;
  made.textContent = text;
  return made;
}

function chip(tone, word) {
  const made = element("span", "chip", word);
  made.dataset.tone = tone;
  return made;
}

function rows(id, items) { byId(id).replaceChildren(...items); }

function write(id, text) { if (byId(id).textContent !== text) byId(id).textContent = text; }

function show(id, text) { write(id, text); byId(id).hidden = !text; }

function age(seconds) {
  if (seconds === null) return "-";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : seconds < 100 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function space() {
  if (state.free_mib === null) return "-";
  const room = state.free_mib < 10240 ? `${state.free_mib} MiB` : `${Math.round(state.free_mib / 1024)} GiB`;
  const minutes = state.minutes_left;
  if (minutes === null) return room;
  return `${room}, for ${minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`}`;
}

// Between two reports the clock runs on by itself.
function running(clock, told, direction) {
  if (clock.told !== told) { clock.told = told; clock.at = performance.now(); }
  return Math.max(0, told + direction * (performance.now() - clock.at) / 1000);
}
function recorded() { return running(elapsed, state.elapsed_s ?? 0, 1); }
function left() { return running(countdown, state.countdown_s ?? 0, -1); }

// ---- pressed

function press(id) { if (!byId(id).disabled) byId(id).click(); }

byId("primary").addEventListener("click", () => send(byId("primary").dataset.act));
for (const id of ["save", "discard", "again", "aside", "success", "failure", "reset"]) byId(id).addEventListener("click", () => send(id));
byId("yes").addEventListener("click", () => send("confirm"));
byId("no").addEventListener("click", () => send("cancel"));
byId("note").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (text) send("note", { text });
  byId("text").value = "";
  byId("text").blur();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "Escape") { byId("text").blur(); if (!byId("confirm").hidden) press("no"); return; }
  if (event.target === byId("text")) return;
  const asks = byId("confirm").dataset.asks;
  const buttons = { s: "primary", y: "success", n: "failure", a: "aside", b: "reset",
    k: asks === "save" ? "yes" : "save", d: asks === "discard" ? "yes" : "discard", r: asks === "again" ? "yes" : "again" };
  const pressed = event.key.toLowerCase();
  if (pressed === "o") { event.preventDefault(); byId("text").focus(); }
  if (buttons[pressed]) press(buttons[pressed]);
});

history.replaceState(null, "", "/"); // a token does not stay in the address
setInterval(() => { drawBanner(); if (state) drawButtons(); }, 100);
connect();
