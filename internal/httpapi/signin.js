"use strict";

// The token of a link stands in the fragment. It is taken out of the address at
// once, so that it stays in no history, and is sent when the button is pressed.
const byId = (id) => document.getElementById(id);
const form = byId("form"), change = byId("change");
const asked = new URLSearchParams(location.search);
const tenant = asked.get("tenant") || "default";
const store = asked.get("store"); // whose page it is, where stores share e-mails
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", location.pathname + location.search);

const say = (text) => { byId("message").textContent = text; };

async function send(method, path, body, csrf) {
  const headers = { "Content-Type": "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const answer = await fetch(path, { method, headers, body: JSON.stringify(body), credentials: "same-origin" });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.message);
  return told;
}

let session = null, password = "";

function welcome(s) {
  session = s;
  form.hidden = true;
  change.hidden = s.next !== "password" || !password;
  if (s.next === "second-factor") say("Go on with the second factor.");
  else if (!change.hidden) byId("next").focus();
  else say("Signed in as " + (s.name || s.email || s.user) + ".");
}

async function begin(event) {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  let action = form.dataset.action;
  if (action === "sign-in" && token) { action = "sign-in-link"; delete fields.email; delete fields.password; }
  if (action === "sign-in" && store) fields.store = store;
  if (token) fields.token = token;
  password = fields.password || "";
  try {
    welcome(await send("POST", "/v1/tenants/" + encodeURIComponent(tenant) + "/" + action, fields));
  } catch (err) { say(err.message); }
}

async function renew(event) {
  event.preventDefault();
  try {
    const next = byId("next").value;
    const s = await send("PUT", "/v1/session/password", { current: password, password: next }, session.csrf_token);
    password = "";
    welcome(s);
  } catch (err) { say(err.message); }
}

form.addEventListener("submit", begin);
change.addEventListener("submit", renew);

// A link that signs in asks for nothing but a press of the button.
if (form.dataset.action === "sign-in" && token) {
  byId("fields").hidden = true;
  for (const field of byId("fields").querySelectorAll("input")) field.disabled = true;
}
