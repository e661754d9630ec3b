/** What is known of somebody, as a sentence and a table, and what they say to it: never this topic, more of that one. */

import { call } from "./call.js";
import { PROFILE_WORDS } from "./profile-words.js";
import { make } from "./tiles.js";
import { currentLanguage, number, say, teach } from "./words.js";

const MOST = 5;
const LONGEST = 64;
const $ = (id) => document.getElementById(id);
let asked = 0;
let whose = null;
let follow = () => {};

teach(PROFILE_WORDS);

const path = (user) => `/v1/users/${encodeURIComponent(user)}/profile?language=${currentLanguage()}`;

/** Show whose profile it is; where nothing is known of them, nothing is asked. */
export async function showProfile(user, known) {
  const turn = ++asked;
  whose = user;
  if (!known) return draw(null);
  const profile = await call(path(user));
  if (turn === asked) draw(profile);
}

/** Send a correction, show what follows from it, and have the list follow too. */
async function correct(change) {
  const turn = ++asked;
  const user = whose;
  const profile = await call(path(user), change, "PATCH");
  if (turn === asked) draw(profile);
  await follow(user);
}

function draw(profile) {
  $("portrait").textContent = profile ? profile.sentence : say("unknown");
  $("portrait").title = profile?.summary ?? "";
  $("interests").replaceChildren(...(profile?.interests ?? []).slice(0, MOST).map(interest));
  const chips = [
    ...(profile?.added ?? []).map((topic) => chip(topic, "added", "drop")),
    ...(profile?.muted ?? []).map((topic) => chip(topic, "muted", "unmute")),
  ];
  $("topics").replaceChildren(...chips);
  $("topics").hidden = !chips.length;
  $("table").hidden = !profile;
  $("table-body").replaceChildren(...Object.entries(profile?.table ?? {}).map(row));
}

/** One interest: its name, its share, and a way to be rid of it. */
function interest({ name, share }) {
  const node = make("li");
  const bar = make("span", "share");
  bar.style.width = `${Math.max(2, 100 * share)}%`;
  node.append(make("span", "name", name), make("span", "value", say("share", share)), bar);
  if (name.length <= LONGEST) node.append(button("×", say("muteThis", name), { mute: [name] }));
  return node;
}

function chip(topic, kind, undo) {
  const node = make("span", `chip ${kind}`);
  node.title = say(`${kind}Topics`);
  node.append(make(kind === "muted" ? "s" : "span", "", topic), button("×", say(undo, topic), { [undo]: [topic] }));
  return node;
}

function button(sign, meaning, change) {
  const node = make("button", "undo", sign);
  node.type = "button";
  node.title = meaning;
  node.setAttribute("aria-label", meaning);
  node.addEventListener("click", () => guard(() => correct(change)));
  return node;
}

function row([name, value]) {
  const node = make("tr");
  const label = (key) => say(`of_${key}`) ?? key;
  // What was done is counted; everything else with parts is dealt out in shares.
  const inner = ([key, part]) => `${label(key)} ${name === "kinds" ? number(part) : say("share", part)}`;
  const whole = () => (typeof value === "number" ? number(value) : String(value));
  const shown = typeof value === "object" ? Object.entries(value).map(inner).join(say("comma")) : whole();
  node.append(make("th", "", label(name)), make("td", "", shown));
  return node;
}

let guard = (work) => work();

/** Listen; ``guarded`` runs what may fail, ``refresh`` is what a correction changes. */
export function listenToProfile(guarded, refresh) {
  guard = guarded;
  follow = refresh;
  const said = () => {
    const topic = $("topic").value.trim();
    $("topic").value = "";
    return topic;
  };
  const send = (name) => {
    const topic = said();
    if (topic) guarded(() => correct({ [name]: [topic] }));
  };
  $("topic-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send("add");
  });
  $("never").addEventListener("click", () => send("mute"));
}
