"use strict";
const { channel, user, thread } = document.body.dataset;
const content = document.getElementById("content");
let shown = null;

async function refresh() {
  const answer = await fetch(`/channels/${channel}/content?as=${user}&thread=${thread}`);
  if (!answer.ok) return;
  const text = await answer.text();
  if (text === shown) return;
  const typed = [...content.querySelectorAll("[data-block]")].map((field) => field.value);
  const open = content.querySelector("#view")?.dataset.view;
  const at = [...content.querySelectorAll("[data-block]")].indexOf(document.activeElement);
  const caret = at < 0 ? null : document.activeElement.selectionStart;
  const scrolled = [...content.querySelectorAll(".stream")].map((s) => s.scrollTop);
  const begun = shown !== null;
  shown = text;
  content.innerHTML = text; // made by the server, which escapes all foreign text
  content.querySelectorAll(".stream").forEach((s, i) => { if (begun) s.scrollTop = scrolled[i] ?? 0; });
  const view = content.querySelector("#view");
  const fields = content.querySelectorAll("[data-block]");
  if (view && view.dataset.view === open) {
    fields.forEach((field, i) => { field.value = typed[i] ?? field.value; });
    fields[at]?.focus();
    if (caret != null) fields[at]?.setSelectionRange(caret, caret);
  }
  if (view && view.dataset.view !== open) (fields[0] ?? view.querySelector("button")).focus();
}

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify({ ...body, user, channel }) });
  const told = await answer.json();
  const warning = document.getElementById("warning");
  warning.hidden = answer.ok;
  warning.textContent = answer.ok ? "" : told.error;
  await refresh();
  return told;
}

function confirmed(asked) {
  const dialog = document.getElementById("confirm");
  const [deny, confirm] = dialog.querySelectorAll("button");
  dialog.querySelector("h3").textContent = asked.title.text;
  dialog.querySelector("p").textContent = asked.text.text;
  deny.textContent = asked.deny.text;
  confirm.textContent = asked.confirm.text;
  dialog.showModal();
  return new Promise((done) => {
    for (const button of [deny, confirm])
      button.onclick = () => { dialog.close(); done(button === confirm); };
    dialog.oncancel = () => done(false);
  });
}

content.addEventListener("click", async (event) => {
  const target = event.target.closest("button, a.button");
  if (!target) return;
  if ("close" in target.dataset) return send("/act/close", {});
  if (!target.dataset.action) return;
  if (target.dataset.confirm && !(await confirmed(JSON.parse(target.dataset.confirm)))) return;
  await send("/act/click", { ts: target.dataset.ts, action_id: target.dataset.action });
});

content.addEventListener("change", (event) => {
  const { action, ts } = event.target.dataset;
  if (action && event.target.value) send("/act/click", { ts, action_id: action, option: event.target.value });
});

content.addEventListener("submit", async (event) => {
  event.preventDefault();
  const values = {};
  for (const field of event.target.querySelectorAll("[data-block]"))
    values[field.dataset.block] = { [field.name]: field.value };
  const told = await send("/act/submit", { values });
  for (const [block, message] of Object.entries(told.errors ?? {}))
    content.querySelector(`[data-error="${block}"]`).textContent = message;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && content.querySelector("#view")) send("/act/close", {});
});

setInterval(refresh, 700);
refresh();
