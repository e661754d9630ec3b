/** The page of experiments: what runs, what was seen so far, whether it may be read, and what came into force. */

import { call, onKey } from "./call.js";
import { EXPERIMENT_WORDS } from "./experiment-words.js";
import { bands, intervals } from "./plots.js";
import { make } from "./tiles.js";
import { currentLanguage, number, say, speak, teach } from "./words.js";

const EVERY = 4000;
const $ = (id) => document.getElementById(id);
const state = { everything: null, name: decodeURIComponent(location.hash.slice(1)), one: null };

teach(EXPERIMENT_WORDS);

const named = (metric) => say(metric) ?? metric;
const share = (value) => `${value > 0 ? "+" : ""}${(value * 100).toFixed(Math.abs(value) < 0.1 ? 1 : 0)} %`;
const amount = (value) => `${value > 0 ? "+" : ""}${Number(value.toPrecision(3))}`;
const moment = (seconds) =>
  new Date(seconds * 1000).toLocaleString(currentLanguage() === "zh" ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "short" });

function chip(text, mood = "") {
  return make("span", `chip ${mood}`, text);
}

async function refresh() {
  try {
    state.everything = await call("/v1/experiments");
    const names = state.everything.experiments.map((one) => one.name);
    if (!names.includes(state.name)) state.name = names[0] ?? "";
    const asked = state.name;
    const one = asked ? await call(`/v1/experiments/${encodeURIComponent(asked)}`) : null;
    if (asked !== state.name) return;
    state.one = one;
    $("trouble").hidden = true;
    show();
  } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
  }
}

function show() {
  showForce();
  showList();
  showPolicies();
  const study = $("study");
  study.replaceChildren(...(state.one ? studied(state.one) : [nothing()]));
  study.setAttribute("aria-busy", "false");
}

function showForce() {
  const { policy } = state.everything;
  $("force").textContent = policy.experiment ? say("nowInForce", policy.arm, policy.experiment) : say("nothingInForce");
}

function showList() {
  $("list").replaceChildren(
    ...state.everything.experiments.map((one) => {
      const node = make("li");
      const button = make("button", "person");
      button.type = "button";
      button.dataset.name = one.name;
      button.setAttribute("aria-pressed", String(one.name === state.name));
      button.append(make("span", "name", one.name), chip(say(one.state), one.state));
      if (one.latest && !one.latest.open) button.append(chip("!", "warn"));
      button.addEventListener("click", () => {
        state.name = one.name;
        location.hash = encodeURIComponent(one.name);
        refresh();
      });
      node.append(button);
      return node;
    }),
  );
  if (!state.everything.experiments.length) $("list").append(make("li", "nothing", say("noExperiments")));
}

function showPolicies() {
  const steps = state.everything.policies.map((one) => {
    const title = one.experiment ? `${one.arm} · ${one.experiment}` : say("engineAsIs");
    return step({ what: title, time: one.since, why: one.why, by: one.by });
  });
  $("policies").replaceChildren(...(steps.length ? steps : [make("li", "nothing", say("nothingInForce"))]));
}

function step({ what, time, why, by }) {
  const node = make("li");
  node.append(make("span", "what", what), make("time", "", [moment(time), say("byWhom", by)].filter(Boolean).join(" · ")));
  if (why) node.append(make("small", "", why));
  return node;
}

function nothing() {
  const node = make("div", "panel empty", say("noExperiments"));
  node.append(make("br"), make("code", "mono", "palate experiment create experiment.toml"));
  return node;
}

/** Everything about one experiment. */
function studied(one) {
  const { latest } = one;
  const parts = [overview(one)];
  if (latest && !latest.open) parts.push(alarm(latest));
  if (latest?.open) {
    for (const metric of one.metrics) {
      const compared = latest.compared.filter((own) => own.metric === metric.name);
      if (compared.length) parts.push(measured(one, metric, compared));
    }
    parts.push(spoken(latest));
  }
  parts.push(done(one));
  return parts;
}

function overview(one) {
  const panel = make("section", "panel");
  const head = make("div", "headline");
  head.append(make("h2", "", one.name), chip(say(one.state), one.state), chip(say(one.design)), chip(say(one.unit)));
  if (one.follows) head.append(chip(say("watch", one.follows)));
  panel.append(head);
  if (one.hypothesis) panel.append(make("p", "hypothesis", one.hypothesis));
  const facts = [
    say("day", Math.floor(one.days) + (one.started === null ? 0 : 1), number(one.planned_days)),
    say("unitsOf", number(one.exposures), number(one.planned_units)),
    one.latest ? say("lookedAt", moment(one.latest.time), one.looks) : say("notLooked"),
  ];
  if (one.started !== null) panel.append(make("p", "meta", facts.join(" · ")));
  if (one.turned_away) panel.append(make("p", "meta", say("turnedAway", number(one.turned_away))));
  if (one.trouble) panel.append(make("p", "trouble", `${say("elsewhere")} ${one.trouble}`));
  if (one.latest?.open) {
    const words = one.latest.words[currentLanguage()];
    panel.append(make("p", `decision ${one.latest.decision}`, words[words.length - 1]));
  }
  panel.append(arms(one));
  return panel;
}

/** Units by arm, and how many the shares let expect: a mismatch is seen before it is proven. */
function arms(one) {
  const list = make("ul", "arms");
  const expected = one.latest?.expected ?? {};
  const most = Math.max(1, ...one.arms.map((arm) => Math.max(arm.units, expected[arm.name] ?? 0))) * 1.04;
  for (const arm of one.arms) {
    const node = make("li");
    const name = make("span", "name", arm.name);
    name.append(make("small", "", served(arm.parameters)));
    const track = make("span", "track");
    const fill = make("span", "fill");
    fill.style.width = `${(100 * arm.units) / most}%`;
    track.append(fill);
    const due = expected[arm.name];
    if (due !== undefined) {
      const mark = make("span", "due");
      mark.style.left = `${(100 * due) / most}%`;
      track.append(mark);
    }
    const count = due === undefined ? number(arm.units) : say("counted", number(arm.units), number(Math.round(due)));
    node.append(name, track, make("span", "count", count));
    list.append(node);
  }
  return list;
}

/** What an arm serves, in a line. */
function served({ mix, strategy, pricing }) {
  const said = [];
  const weights = (own) => Object.entries(own).filter(([, value]) => value).map(([key, value]) => `${key} ${value}`).join(", ");
  if (mix) said.push(`${mix.lead} · ${weights(mix.objectives)}`);
  if (strategy) said.push(`${strategy.via} · ${weights(strategy.objectives)}`);
  if (pricing) said.push(pricing);
  return said.join(" · ") || say("engineAsIs");
}

function alarm(latest) {
  const box = make("section", "alarm");
  box.setAttribute("role", "alert");
  box.append(make("strong", "", say("alarm")));
  for (const line of latest.words[currentLanguage()].slice(0, -1)) box.append(make("p", "", line));
  return box;
}

function measured(one, metric, compared) {
  const panel = make("section", "panel metric");
  panel.dataset.metric = metric.name;
  const head = make("header");
  head.append(make("h2", "", named(metric.name)), chip(say(metric.role)));
  const relative = compared.every((own) => own.relative_always_valid);
  const key = relative ? "relative_always_valid" : "always_valid";
  const show = relative ? share : amount;
  const drawn = compared.filter((own) => own[key]);
  for (const own of compared) {
    const verdict = own.guard && own.guard !== "unmeasured" ? own.guard : own.verdict;
    head.append(chip(compared.length > 1 ? `${own.arm}: ${say(verdict)}` : say(verdict), verdict));
  }
  panel.append(head);
  if (!drawn.length) return panel;
  const mood = (own) => (own.guard === "broken" ? "worse" : own.guard === "holds" ? "better" : own.verdict);
  const sign = metric.better === "lower" ? 1 : -1;
  const floor = (own) => (relative && metric.role === "guard-rail" && own.margin ? sign * own.margin : undefined);
  const rows = drawn.map((own) => ({ name: own.arm, interval: own[key], mood: mood(own), floor: floor(own) }));
  const pair = make("div", "pair");
  pair.append(figure(intervals(rows, show, `${named(metric.name)}: ${say(relative ? "relative" : "absolute")}`), caption(relative, rows)));
  const series = drawn.map((own) => ({ name: own.arm, points: course(one, metric.name, own.arm, relative) }));
  if (series.every((own) => own.points.length > 1)) {
    const plot = bands(series, show, (units) => say("units", number(Math.round(units))), `${named(metric.name)}: ${say("overTime")}`);
    const shown = figure(plot, say("overTime"));
    if (series.length > 1) {
      const legend = make("p", "legend");
      series.forEach((own, place) => legend.append(make("span", `tone${place % 4}`, own.name)));
      shown.append(legend);
    }
    pair.append(shown);
  }
  panel.append(pair);
  return panel;
}

const caption = (relative, rows) => {
  const floor = rows.find((row) => row.floor)?.floor;
  return [say(relative ? "relative" : "absolute"), floor ? say("putUpWith", `${Math.abs(floor * 100).toFixed(1)} %`) : ""].filter(Boolean).join("; ");
};

/** What was seen of a metric in an arm, look after look. */
function course(one, metric, arm, relative) {
  const points = [];
  for (const look of one.trend) {
    const own = look.compared.find((row) => row.metric === metric && row.arm === arm);
    const interval = own?.[relative ? "relative" : "absolute"];
    if (!interval || interval.includes(null)) continue;
    const [estimate, low, high] = interval;
    const point = { at: look.units, estimate, low, high };
    if (points.length && points[points.length - 1].at === point.at) points.pop();
    points.push(point);
  }
  return points;
}

function figure(plot, text) {
  const node = make("figure");
  node.append(plot, make("figcaption", "", text));
  return node;
}

function spoken(latest) {
  const panel = make("section", "panel");
  const list = make("ul", "said");
  for (const line of latest.words[currentLanguage()]) list.append(make("li", "", line));
  panel.append(make("h2", "", say("sentences")), list);
  return panel;
}

function done(one) {
  const panel = make("section", "panel");
  const list = make("ol", "steps");
  for (const own of [...one.steps].reverse()) list.append(step({ ...own, what: say(own.what) ?? own.what }));
  panel.append(make("h2", "", say("steps")), list, make("p", "note mono", one.fingerprint.slice(0, 16)));
  return panel;
}

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    if (state.everything) show();
  });
}
onKey(refresh);
speak(currentLanguage());
refresh();
setInterval(() => {
  if (!document.hidden && !$("key").open) refresh();
}, EVERY);
