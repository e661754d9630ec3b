/** The page: whose taste, what they did, what they wish for, and the list that follows from it. */

import { call, onKey } from "./call.js";
import { currentLanguage, number, say, speak, told } from "./words.js";
import { listenToProfile, showProfile } from "./profile.js";
import { leaf, make, tile } from "./tiles.js";
import { explain } from "./why.js";

const COUNT = 12;
const $ = (id) => document.getElementById(id);
const state = { people: [], person: null, visitor: newVisitor(), trails: new Map(), wish: "", corrected: new Set(), shown: [], answer: null, status: null };
let asked = 0;

function newVisitor() {
  return `visitor-${crypto.getRandomValues(new Uint32Array(2)).join("")}`;
}

/** What to call a person: a bare number needs a word before it, a pseudonym is long. */
const called = ({ user_id: id }) =>
  /^\d+$/.test(id) ? say("user", id) : /^p_[0-9a-f]{32}$/.test(id) ? say("user", id.slice(2, 8)) : id;

const userId = () => state.person?.user_id ?? state.visitor;
const trail = () => {
  if (!state.trails.has(userId())) state.trails.set(userId(), [...(state.person?.recent ?? [])]);
  return state.trails.get(userId());
};

async function guarded(work) {
  try {
    $("trouble").hidden = true;
    await work();
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
    $("cards").setAttribute("aria-busy", "false");
  }
}

/** Ask for the list and show it; only the newest question may answer. */
async function refresh() {
  const turn = ++asked;
  $("cards").setAttribute("aria-busy", "true");
  const question = { user_id: userId(), count: COUNT, explain: true, return_properties: true, language: currentLanguage() };
  if (state.wish) question.text = state.wish;
  const answer = await call("/v1/recommend", question);
  if (turn !== asked) return;
  state.answer = answer;
  showAnswer();
}

function showAnswer() {
  const { answer } = state;
  if (!answer) return;
  const title = state.wish ? say("listForWish", state.wish) : state.person ? say("listFor", called(state.person)) : say("listForMe");
  $("answers-title").textContent = title;
  const meta = $("meta");
  meta.replaceChildren(make("span", "", say("meta", answer.items.length, answer.took_ms.toFixed(1))));
  meta.append(make("span", "chip quiet", say("model", answer.model_version)));
  if (answer.degraded || answer.items[0]?.reasons[0]?.kind === "popular") meta.append(make("span", "chip warn", say("degraded")));
  showCards(answer.items);
}

/** Replace the cards; those that stay glide to their new place, new ones rise, gone ones fade. */
function showCards(items) {
  const list = $("cards");
  const before = new Map([...list.children].map((node) => [node.dataset.id, node.getBoundingClientRect()]));
  const ranks = new Map(state.shown.map((id, rank) => [id, rank]));
  const first = state.shown.length === 0;
  list.replaceChildren(...items.map((item, rank) => card(item, rank, first ? undefined : ranks.get(item.id), first)));
  if (!items.length) list.append(make("li", "nothing", say("none")));
  state.shown = items.map((item) => item.id);
  list.setAttribute("aria-busy", "false");
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const [place, node] of [...list.children].entries()) {
    const old = before.get(node.dataset.id);
    const now = node.getBoundingClientRect();
    const steps = old
      ? [{ transform: `translate(${old.left - now.left}px, ${old.top - now.top}px)` }, { transform: "none" }]
      : [{ opacity: 0, transform: "translateY(18px) scale(.97)" }, { opacity: 1, transform: "none" }];
    node.animate(steps, { duration: old ? 520 : 420, delay: old ? 0 : 30 * place, easing: "cubic-bezier(.2,.8,.2,1)", fill: "backwards" });
  }
}

function card(item, rank, oldRank, first) {
  const { properties } = item;
  const node = make("li", "card");
  node.dataset.id = item.id;
  const act = make("button", "act");
  act.type = "button";
  act.append(tile(item.id, properties));
  const text = make("span", "text");
  const kind = [leaf(told(properties, "category")), told(properties, "brand")].filter(Boolean).join(" · ");
  text.append(make("span", "kind", kind), make("span", "title", told(properties, "title") ?? item.id));
  const reason = item.reasons[0];
  if (reason) text.append(make("span", `reason ${reason.kind}`, reason.text));
  act.append(text);
  act.addEventListener("click", () => guarded(() => choose(item, node)));
  const foot = make("span", "foot");
  if (properties.price !== undefined) foot.append(make("span", "price", price(properties)));
  for (const source of item.source.slice(0, 1)) foot.append(make("span", "chip", source));
  if (item.source.length > 1) foot.append(make("span", "chip", `+${item.source.length - 1}`));
  const why = make("button", "link why", say("why"));
  why.type = "button";
  why.addEventListener("click", () => guarded(() => explain(item, userId(), call, state.status?.writer === "model")));
  foot.append(why);
  node.append(act, foot, make("span", "rank", String(rank + 1)));
  if (!first && oldRank === undefined) node.append(make("span", "move fresh", say("newcomer")));
  else if (!first && oldRank > rank) node.append(make("span", "move up", `↑${oldRank - rank}`));
  return node;
}

function price({ price: amount, currency }) {
  const sign = { USD: "$", EUR: "€", CNY: "¥", GBP: "£" }[currency] ?? (currency ? `${currency} ` : "");
  return sign + Number(amount).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** A click: tell the server, put it on top of the trail, ask again. */
async function choose(item, node) {
  node?.classList.add("chosen");
  const event = { event_id: `click-${crypto.randomUUID?.() ?? Math.random()}`, user_id: userId(), item_id: item.id, kind: "click" };
  if (state.answer && node) event.recommendation_id = state.answer.recommendation_id;
  await call("/v1/events", { events: [event] });
  trail().unshift({ id: item.id, properties: item.properties });
  trail().length = Math.min(trail().length, 8);
  showTrail(true);
  await Promise.all([refresh(), profile()]);
}

function showTrail(arrived = false) {
  const list = $("trail");
  list.replaceChildren(
    ...trail().map(({ id, properties }) => {
      const node = make("li");
      const text = make("span", "text");
      text.append(make("span", "title", told(properties, "title") ?? id), make("span", "kind", leaf(told(properties, "category"))));
      node.append(tile(id, properties, "tile small"), text);
      return node;
    }),
  );
  if (!trail().length) list.append(make("li", "nothing", say("nothing")));
  if (arrived) list.firstChild.animate([{ opacity: 0, transform: "translateX(-14px)" }, { opacity: 1, transform: "none" }], 380);
}

function showPeople() {
  const chip = (person, name, note) => {
    const node = make("li");
    const button = make("button", "person");
    button.type = "button";
    button.dataset.user = person?.user_id ?? "";
    button.setAttribute("aria-pressed", String((state.person?.user_id ?? null) === (person?.user_id ?? null)));
    button.append(tile(name, { category: name }, "tile face", person ? person.user_id.slice(-2) : "☺"), make("span", "name", name));
    if (note) button.append(make("span", "note", note));
    button.addEventListener("click", () => guarded(() => become(person)));
    node.append(button);
    return node;
  };
  $("people").replaceChildren(
    chip(null, say("me"), ""),
    ...state.people.map((person) => chip(person, called(person), say("events", number(person.events)))),
  );
}

async function become(person) {
  state.person = person;
  state.shown = [];
  showPeople();
  showTrail();
  await Promise.all([refresh(), profile()]);
}

/** Of a newcomer nothing is known before the first click. */
const profile = () => showProfile(userId(), Boolean(state.person) || trail().length > 0 || state.corrected.has(userId()));

/** What follows from a correction. */
async function corrected(user) {
  state.corrected.add(user);
  await refresh();
}

function showFacts() {
  if (!state.status) return;
  const { items, users } = state.status;
  $("facts").textContent = items === undefined ? "" : say("facts", number(items), number(users));
}

/** Suggestions for the history box. */
async function suggest() {
  const words = $("add").value.trim();
  const found = words ? (await call(`/v1/catalogue/search?count=6&q=${encodeURIComponent(words)}`)).items : [];
  if (words !== $("add").value.trim()) return;
  const list = $("found");
  list.replaceChildren(
    ...found.map((item) => {
      const node = make("li");
      node.setAttribute("role", "option");
      node.append(tile(item.id, item.properties, "tile small"), make("span", "title", told(item.properties, "title")));
      node.addEventListener("mousedown", (event) => {
        event.preventDefault();
        guarded(() => add(item));
      });
      return node;
    }),
  );
  if (words && !found.length) list.append(make("li", "nothing", say("none")));
  list.hidden = !words;
  $("add").setAttribute("aria-expanded", String(Boolean(words)));
}

async function add(item) {
  $("add").value = "";
  $("found").hidden = true;
  $("add").setAttribute("aria-expanded", "false");
  await choose(item, null);
}

async function wish(text) {
  state.wish = text;
  $("wish-text").value = text;
  $("wish-clear").hidden = !text;
  await refresh();
}

function debounce(work, wait) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}

function listen() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      speak(button.dataset.language);
      showFacts();
      showPeople();
      showTrail();
      guarded(() => Promise.all([refresh(), profile()]));
    });
  }
  $("wish").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(() => wish($("wish-text").value.trim()));
  });
  $("wish-clear").addEventListener("click", () => guarded(() => wish("")));
  $("add").addEventListener("input", debounce(() => guarded(suggest), 160));
  $("add").addEventListener("blur", () => { $("found").hidden = true; });
  $("add").addEventListener("keydown", (event) => {
    if (event.key === "Escape") $("found").hidden = true;
    if (event.key === "Enter") $("found").querySelector("[role=option]")?.dispatchEvent(new MouseEvent("mousedown", { cancelable: true }));
  });
  $("restart").addEventListener("click", () => {
    state.visitor = newVisitor();
    guarded(async () => {
      state.wish = "";
      $("wish-text").value = "";
      $("wish-clear").hidden = true;
      await become(null);
    });
  });
  listenToProfile(guarded, corrected);
  onKey(() => guarded(start));
}

async function start() {
  const [status, people] = await Promise.all([call("/v1/status"), call("/v1/sample-users")]);
  state.status = status;
  state.people = people.users;
  state.person = state.people[0] ?? null;
  showFacts();
  showPeople();
  showTrail();
  await Promise.all([refresh(), profile()]);
}

speak(currentLanguage());
listen();
guarded(start);
