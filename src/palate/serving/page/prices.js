/** The page of prices: what was decided and why, what an item was sold for, and what another price would bring. */

import { call, onKey } from "./call.js";
import { bands, intervals, lines } from "./plots.js";
import { PRICE_WORDS } from "./price-words.js";
import { make } from "./tiles.js";
import { currentLanguage, say, speak, teach, told } from "./words.js";

const EVERY = 5000;
const $ = (id) => document.getElementById(id);
const state = { item: decodeURIComponent(location.hash.slice(1)), rules: null, decisions: [], own: [], whatIf: null, elasticities: null, titles: new Map() };
let asked = 0;

teach(PRICE_WORDS);

const spoken = () => (currentLanguage() === "zh" ? "zh-CN" : "en-GB");
const money = (value) => (value === null ? "—" : Number(value).toLocaleString(spoken(), { minimumFractionDigits: 2, maximumFractionDigits: 2 }));
const percent = (value) => `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
const amount = (value) => Number(value).toLocaleString(spoken(), { maximumFractionDigits: value < 10 ? 1 : 0 });
const fixed = (value) => value.toFixed(2);
const moment = (seconds) => new Date(seconds * 1000).toLocaleString(spoken(), { dateStyle: "short", timeStyle: "medium" });
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(spoken(), { timeStyle: "short" });
const called = (item) => told(state.titles.get(item) ?? {}, "title") ?? item;
const query = (values) => new URLSearchParams(values).toString();

async function refresh() {
  const turn = ++asked;
  try {
    const language = currentLanguage();
    const [rules, all, elasticities] = await Promise.all([
      call(`/v1/price/rules?${query({ language })}`),
      call("/v1/price/decisions?count=60"),
      call("/v1/price/elasticities"),
    ]);
    const item = state.item || all.decisions[0]?.prices[0]?.item_id || "";
    const [own, whatIf] = item
      ? await Promise.all([call(`/v1/price/decisions?${query({ item, count: 300 })}`), call(`/v1/price/what-if?${query({ item })}`)])
      : [{ decisions: [] }, null];
    if (turn !== asked) return;
    for (const [id, own] of Object.entries({ ...all.titles, ...whatIf?.titles })) state.titles.set(id, own);
    Object.assign(state, { item, rules, decisions: all.decisions, elasticities, own: own.decisions, whatIf });
    $("trouble").hidden = true;
    show();
  } catch (error) {
    if (turn !== asked) return;
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
    $("study").setAttribute("aria-busy", "false");
    if (!state.rules) $("study").replaceChildren(off());
  }
}

function off() {
  const node = make("div", "panel empty", say("pricesOff"));
  node.append(make("br"), make("code", "mono", say("howOn")));
  return node;
}

function show() {
  $("rules").textContent = say("pricedBy", state.rules.policy, state.rules.model.slice(0, 12));
  showItems();
  showLaw();
  const parts = [];
  if (state.whatIf) parts.push(whatIf(state.whatIf));
  if (state.own.length) parts.push(history());
  if (state.elasticities.categories.length || state.elasticities.measured) parts.push(elasticities());
  parts.push(audit());
  $("study").replaceChildren(...parts);
  $("study").setAttribute("aria-busy", "false");
}

function showItems() {
  const known = new Set([state.item, ...state.decisions.flatMap((one) => one.prices.map((line) => line.item_id))].filter(Boolean));
  $("list").replaceChildren(
    ...[...known].slice(0, 12).map((item) => {
      const node = make("li");
      const button = make("button", "person");
      button.type = "button";
      button.dataset.item = item;
      button.setAttribute("aria-pressed", String(item === state.item));
      button.append(make("span", "name", called(item)));
      button.addEventListener("click", () => choose(item));
      node.append(button);
      return node;
    }),
  );
}

function showLaw() {
  const { law } = state.rules;
  const name = make("li");
  name.append(make("span", "what", law.name), make("small", "", law.notice));
  const rows = law.laws.map((own) => {
    const node = make("li");
    node.append(make("span", "what", own.title), make("small", "", own.asks));
    return node;
  });
  $("law").replaceChildren(name, ...rows);
}

function choose(item) {
  state.item = item;
  location.hash = encodeURIComponent(item);
  refresh();
}

function whatIf(own) {
  const panel = make("section", "panel metric");
  panel.id = "what-if";
  const head = make("header");
  head.append(make("h2", "", `${say("whatIf")}: ${called(own.item_id)}`));
  panel.append(head);
  const meta = make("p", "meta");
  meta.append(make("span", "", `${say("listPrice")} ${money(own.list_price)} ${own.currency}`));
  if (own.low !== null) meta.append(make("span", "chip", say("bounds", money(own.low), money(own.high))));
  if (own.elasticity) meta.append(make("span", "chip", say("elasticityIs", ...own.elasticity.map(fixed))));
  panel.append(meta);
  if (own.measured) panel.append(...bySales(own));
  if (!own.believed) {
    if (!own.measured?.rungs.length) panel.append(make("p", "note", say("noBelief", own.policy)));
    return panel;
  }
  const pair = make("div", "pair");
  const points = own.rungs.map(({ price, chance: [estimate, low, high] }) => ({ at: price, estimate, low, high }));
  pair.append(figure(bands([{ name: called(own.item_id), points }], percent, money, say("chance")), say("chance")));
  const series = [{ name: say("revenue"), points: own.rungs.map((rung) => [rung.price, rung.revenue]) }];
  if (own.rungs[0].margin !== null) series.push({ name: say("margin"), points: own.rungs.map((rung) => [rung.price, rung.margin]) });
  const earned = figure(lines(series, money, money, say("earnings"), own.list_price), say("earnings"));
  earned.append(legend(series));
  pair.append(earned);
  panel.append(pair);
  return panel;
}

/** What the sales history foresees at other prices. */
function bySales({ item_id, measured }) {
  const { elasticity, days, counted, rungs } = measured;
  const said = elasticity ? say("measuredIs", ...elasticity.map(fixed), say(`from_${measured.from}`)) : say("notMeasured");
  const parts = [make("p", "note measured", said)];
  if (!rungs.length) return parts;
  const sales = say(`sales_${counted}`, days);
  const earned = say("salesEarn", days);
  const points = (key) => rungs.map((rung) => ({ at: rung.price, estimate: rung[key][0], low: rung[key][1], high: rung[key][2] }));
  const pair = make("div", "pair");
  pair.append(figure(bands([{ name: called(item_id), points: points("sales") }], amount, money, sales, true), sales));
  const series = [{ name: say("revenue"), points: points("revenue") }];
  if (rungs[0].margin) series.push({ name: say("margin"), points: points("margin") });
  const drawn = figure(bands(series, money, money, earned, true), earned);
  drawn.append(legend(series));
  pair.append(drawn);
  return [...parts, pair];
}

function history() {
  const panel = make("section", "panel metric");
  panel.id = "history";
  const rows = state.own.map((one) => [one.at, one.prices[0]]).reverse();
  const sold = rows.filter(([, line]) => line.price !== null).map(([at, line]) => [at, line.price]);
  const listed = rows.filter(([, line]) => line.list_price !== null).map(([at, line]) => [at, line.list_price]);
  const head = make("header");
  head.append(make("h2", "", say("history")));
  panel.append(head);
  const series = [
    { name: say("price"), points: sold, steps: true },
    { name: say("listPrice"), points: listed, steps: true },
  ].filter((one) => one.points.length);
  if (series.length) panel.append(figure(lines(series, clock, money, say("history")), ""), legend(series));
  return panel;
}

function elasticities() {
  const panel = make("section", "panel metric");
  panel.id = "elasticities";
  const head = make("header");
  head.append(make("h2", "", say("elasticities")));
  panel.append(head);
  const { categories, measured } = state.elasticities;
  const row = (own, name = own.category || "—") => ({ name, interval: own.elasticity, mood: "undecided" });
  if (categories.length) {
    const rows = categories.slice(0, 12).map((own) => row(own));
    panel.append(figure(intervals(rows, fixed, say("elasticities")), say("elasticityNote")));
  }
  if (!measured) return panel;
  const shop = measured.overall.elasticity ? [row(measured.overall, say("all"))] : [];
  const rows = [...shop, ...measured.categories.filter((own) => own.elasticity).slice(0, 12).map((own) => row(own))];
  const text = say("measuredNote", percent(measured.level));
  panel.append(rows.length ? figure(intervals(rows, fixed, text), text) : make("p", "note", say("notMeasured")));
  const silent = measured.categories.filter((own) => !own.elasticity).slice(0, 6);
  const language = currentLanguage() === "zh" ? "zh" : "en";
  for (const own of silent) panel.append(make("p", "note", say("silent", own.category || "—", own.why[language])));
  return panel;
}

function audit() {
  const panel = make("section", "panel");
  panel.id = "audit";
  panel.append(make("h2", "", say("audit")));
  if (!state.decisions.length) {
    panel.append(make("p", "note", say("noDecisions")));
    return panel;
  }
  const table = make("table");
  const head = make("tr");
  for (const name of ["when", "item", "price", "why", "law", ""]) head.append(make("th", "", name && say(name)));
  table.append(head);
  for (const one of state.decisions.slice(0, 40)) {
    for (const line of one.prices.slice(0, 3)) {
      const row = make("tr");
      const price = make("td", "", money(line.price));
      if (line.personal) price.append(" ", make("span", "chip warn", say("personal")));
      const why = make("button", "link", say("explainIt"));
      why.type = "button";
      why.addEventListener("click", () => explain(one.decision_id));
      const last = make("td");
      last.append(why);
      const clips = make("td");
      for (const clip of line.clips) clips.append(make("span", "chip", say(`clip_${clip}`)), " ");
      const item = make("td", "", called(line.item_id));
      item.append(make("small", "id", line.item_id));
      row.append(make("td", "", moment(one.at)), item, price, clips, make("td", "", one.pack), last);
      table.append(row);
    }
  }
  const box = make("div", "scroll");
  box.append(table);
  panel.append(box);
  return panel;
}

/** A decision taken apart: what it rests on, and whether doing it again gives the same. */
async function explain(decision) {
  try {
    const own = await call(`/v1/price/${decision}/explain?${query({ language: currentLanguage() })}`);
    $("why-title").textContent = own.prices.map((line) => called(line.item_id)).join(", ");
    const body = make("div", "said");
    body.append(make("span", `chip ${own.repeats ? "better" : "warn"}`, own.repeats ? say("same") : `${say("different")}: ${own.repeats_note}`));
    for (const line of own.prices) {
      body.append(make("p", "sum", `${money(line.price)} · ${say("listPrice")} ${money(line.list_price)}`), make("p", "", line.text));
      const chips = make("p", "chips");
      if (line.proposed !== null) chips.append(make("span", "chip", say("wanted", money(line.proposed))));
      if (line.propensity !== null && line.propensity < 1) chips.append(make("span", "chip", say("odds", percent(line.propensity))));
      for (const input of line.inputs) chips.append(make("span", input.personal ? "chip warn" : "chip", `${input.name} ${input.value === null ? "—" : Number(input.value.toPrecision(3))}`));
      body.append(chips);
      if (line.disclosure) body.append(make("p", "note", line.disclosure));
    }
    body.append(make("p", "note", own.notice), make("p", "note mono", `${own.decision_id} · ${own.rules}`));
    $("why-body").replaceChildren(body);
    $("why").showModal();
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
  }
}

function legend(series) {
  const node = make("p", "legend");
  series.forEach((one, place) => node.append(make("span", `tone${place % 4}`, one.name)));
  return node;
}

function figure(plot, text) {
  const node = make("figure");
  node.append(plot);
  if (text) node.append(make("figcaption", "", text));
  return node;
}

/** Suggestions for the box. */
async function suggest() {
  const words = $("add").value.trim();
  const found = words ? (await call(`/v1/catalogue/search?${query({ q: words, count: 6 })}`)).items : [];
  if (words !== $("add").value.trim()) return;
  $("found").replaceChildren(
    ...found.map((item) => {
      const node = make("li", "", told(item.properties, "title") ?? item.id);
      node.setAttribute("role", "option");
      node.addEventListener("mousedown", (event) => {
        event.preventDefault();
        state.titles.set(item.id, item.properties);
        $("add").value = "";
        $("found").hidden = true;
        choose(item.id);
      });
      return node;
    }),
  );
  if (words && !found.length) $("found").append(make("li", "nothing", say("none")));
  $("found").hidden = !words;
  $("add").setAttribute("aria-expanded", String(Boolean(words)));
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    refresh();
  });
}
$("add").addEventListener("input", () => suggest().catch(() => {}));
$("add").addEventListener("blur", () => { $("found").hidden = true; });
onKey(refresh);
speak(currentLanguage());
refresh();
setInterval(() => {
  if (!document.hidden && !$("key").open && !$("why").open) refresh();
}, EVERY);
