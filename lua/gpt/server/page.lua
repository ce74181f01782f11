-- The page at /: a chat with streaming. One text, which asks for nothing from outside.
return [==[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
<title>luagpt</title>
<link rel="icon" href="data:,">
<style>
:root {
  color-scheme: light dark;
  --ground: #fbfaf7; --panel: #ffffff; --ink: #23221f; --faint: #6b675f; --line: #ddd8cc;
  --mine: #e6eefb; --accent: #1d58b8; --on-accent: #ffffff; --bad: #a62b1f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #17181a; --panel: #202226; --ink: #e8e6e1; --faint: #a29e95; --line: #3a3d43;
    --mine: #263653; --accent: #8ab4f8; --on-accent: #10233f; --bad: #ff9d8f;
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body {
  display: flex; flex-direction: column; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif;
}
header, main, form { width: 100%; max-width: 48rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; align-items: center; gap: .5rem; padding-top: .75rem; padding-bottom: .75rem; }
h1 {
  flex: 1; min-width: 0; margin: 0; font-size: 1rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
main { flex: 1; overflow-y: auto; padding-bottom: 1rem; }
main:empty::before { content: "Say something to the model."; color: var(--faint); }
article { margin: 0 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
article.user {
  width: fit-content; max-width: 85%; margin-left: auto; padding: .5rem .875rem; background: var(--mine);
  border-radius: .875rem;
}
article.assistant:empty::after { content: "…"; color: var(--faint); }
article.problem { color: var(--bad); }
article.note { color: var(--faint); font-size: .8125rem; margin-top: -.75rem; }
form.say { display: flex; gap: .5rem; align-items: flex-end; padding-top: .25rem; padding-bottom: .75rem; }
textarea, input {
  width: 100%; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--panel);
  color: inherit; font: inherit;
}
#text { resize: none; max-height: 40vh; }
button {
  padding: .5rem .875rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--panel); color: inherit;
  font: inherit; cursor: pointer; white-space: nowrap;
}
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
dialog {
  width: min(30rem, calc(100vw - 2rem)); padding: 1rem; border: 1px solid var(--line); border-radius: .75rem;
  background: var(--panel); color: inherit;
}
dialog::backdrop { background: rgb(0 0 0 / .4); }
dialog h2 { margin: 0 0 .5rem; font-size: 1rem; }
label { display: block; margin-bottom: .75rem; color: var(--faint); font-size: .875rem; }
label > * { margin-top: .125rem; color: var(--ink); font-size: 1rem; }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr)); gap: .75rem; }
.end { display: flex; justify-content: flex-end; gap: .5rem; }
</style>
</head>
<body>
<header>
  <h1 id="name">luagpt</h1>
  <button id="clear" type="button">New chat</button>
  <button id="open" type="button">Settings</button>
</header>
<main id="log" aria-live="polite"></main>
<form class="say" id="say">
  <textarea id="text" rows="1" placeholder="Message" aria-label="Message" autofocus></textarea>
  <button class="main" id="send">Send</button>
  <button id="stop" type="button" hidden>Stop</button>
</form>
<dialog id="settings">
  <form method="dialog">
    <h2>Settings</h2>
    <label>System message<textarea id="system" rows="3"></textarea></label>
    <div class="row">
      <label>Temperature<input id="temperature" type="number" min="0" max="2" step="0.1"></label>
      <label>Top p<input id="top_p" type="number" min="0" max="1" step="0.05"></label>
      <label>Longest answer<input id="max_tokens" type="number" min="1" step="1"></label>
      <label>Seed<input id="seed" type="number" step="1"></label>
    </div>
    <label>API key<input id="key" type="password" autocomplete="off"></label>
    <div class="end"><button class="main">Done</button></div>
  </form>
</dialog>
<script>
"use strict";
const $ = id => document.getElementById(id);
const NUMBERS = ["temperature", "top_p", "max_tokens", "seed"];
const KEPT = ["system", ...NUMBERS]; // the key stays in this page alone
let messages = [], running = null;

// A browser may refuse to keep things.
function load(name) { try { return localStorage.getItem("luagpt." + name); } catch { return null; } }
function keep(name, value) { try { localStorage.setItem("luagpt." + name, value); } catch { /* then not */ } }

for (const name of KEPT) {
  $(name).value = load(name) ?? (name === "temperature" ? "0.7" : "");
  $(name).addEventListener("change", () => keep(name, $(name).value));
}

function headers() {
  const all = { "Content-Type": "application/json" };
  if ($("key").value) all.Authorization = "Bearer " + $("key").value;
  return all;
}

// Adds to the log; it follows what is new unless the reader has scrolled away.
function show(kind, text) {
  const item = document.createElement("article");
  item.className = kind;
  item.textContent = text;
  follow(() => $("log").append(item));
  return item;
}
function follow(change) {
  const log = $("log"), below = log.scrollHeight - log.scrollTop - log.clientHeight;
  change();
  if (below < 80) log.scrollTop = log.scrollHeight;
}

function request() {
  const system = $("system").value.trim();
  const body = { messages, stream: true, stream_options: { include_usage: true } };
  if (system) body.messages = [{ role: "system", content: system }, ...messages];
  for (const name of NUMBERS) if ($(name).value !== "") body[name] = Number($(name).value);
  return body;
}

// The events of a stream, as they come.
async function* events(response) {
  const decoder = new TextDecoder(), reader = response.body.getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: ?/, "");
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
}

async function problem_of(response) {
  try { return (await response.json()).error.message; } catch { return "the server said " + response.status; }
}

function note(tokens, first, last, reason) {
  const parts = [tokens + (tokens === 1 ? " token" : " tokens")];
  if (tokens > 1 && last > first) parts.push(((tokens - 1) * 1000 / (last - first)).toFixed(1) + " tokens/s");
  if (reason === "length") parts.push("cut at the longest answer");
  show("note", parts.join(", "));
}

// Shows what there is of an answer, at most once for each frame.
function paint(answer) {
  if (answer.due) return;
  answer.due = requestAnimationFrame(() => {
    answer.due = 0;
    follow(() => { answer.item.textContent = answer.content; });
  });
}

async function receive(response, answer) {
  let reason = null, usage = null, first = 0, last = 0;
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    const choice = event.choices[0];
    usage = event.usage ?? usage;
    reason = choice?.finish_reason ?? reason;
    const piece = choice?.delta.content;
    if (!piece) continue;
    last = performance.now();
    first = first || last;
    answer.content += piece;
    paint(answer);
  }
  if (usage) note(usage.completion_tokens, first, last, reason);
}

function busy(control) {
  running = control;
  $("send").hidden = control !== null;
  $("stop").hidden = control === null;
}

// Sends a message and shows what comes. Where nothing came the message goes back to where it was written.
async function say(text) {
  const conversation = messages, mine = show("user", text);
  conversation.push({ role: "user", content: text });
  const body = JSON.stringify(request());
  const answer = { content: "", item: show("assistant", "") };
  busy(new AbortController());
  try {
    const response = await fetch("v1/chat/completions", {
      method: "POST", headers: headers(), body, signal: running.signal,
    });
    if (!response.ok) throw new Error(await problem_of(response));
    await receive(response, answer);
  } catch (error) {
    if (error.name !== "AbortError") show("problem", error.message);
  }
  if (answer.content) {
    answer.item.textContent = answer.content;
    conversation.push({ role: "assistant", content: answer.content });
  } else {
    conversation.pop();
    answer.item.remove();
    mine.remove();
    if (!$("text").value) $("text").value = text;
  }
  busy(null);
  $("text").focus();
}

function grow() {
  const area = $("text");
  area.style.height = "auto";
  area.style.height = area.scrollHeight + 2 + "px";
}

$("say").addEventListener("submit", event => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || running) return;
  $("text").value = "";
  grow();
  say(text);
});
$("text").addEventListener("input", grow);
$("text").addEventListener("keydown", event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});
$("stop").addEventListener("click", () => running?.abort());
$("clear").addEventListener("click", () => {
  running?.abort();
  messages = [];
  $("log").replaceChildren();
  $("text").focus();
});
$("open").addEventListener("click", () => $("settings").showModal());

fetch("health").then(response => response.json()).then(health => {
  $("name").textContent = document.title = health.model;
}).catch(() => show("problem", "the server cannot be reached"));
</script>
</body>
</html>
]==]
