/** The dialog that takes a recommendation apart. */

import { currentLanguage, say, told as inWords } from "./words.js";
import { make } from "./tiles.js";

const MOST = 8;
const short = (value) => (Math.abs(value) < 0.0005 ? "0" : value.toFixed(Math.abs(value) < 1 ? 3 : 2));

/** A table of bars to both sides of a middle line, longest first. */
function bars(rows) {
  const most = Math.max(...rows.map((row) => Math.abs(row.value)), 1e-9);
  const list = make("ul", "bars");
  for (const row of [...rows].sort((one, other) => Math.abs(other.value) - Math.abs(one.value)).slice(0, MOST)) {
    const line = make("li");
    const bar = make("span", row.value < 0 ? "bar less" : "bar");
    const fill = make("span", "fill");
    fill.style.width = `${(50 * Math.abs(row.value)) / most}%`;
    bar.append(fill);
    line.append(make("span", "name", row.name), bar, make("span", "value", (row.value > 0 ? "+" : "") + short(row.value)));
    list.append(line);
  }
  return list;
}

function part(body, title, rows) {
  if (!rows.length) return;
  body.append(make("h3", "", say(title)), bars(rows));
}

/** Let a model say the reasons in words, and show them above the reasons once they are there; they come late or never. */
async function tell(body, path, call) {
  const told = await call(path).catch(() => null);
  if (!told?.story || told.story.written_by === "template") return;
  const text = make("p", "story", `${told.story.text} `);
  text.append(make("small", "", say("told")));
  body.prepend(text);
}

/** Fetch the explanation of an item and show it; where a model ``writes``, its words join in when they are there. */
export async function explain(item, user, call, writes) {
  const query = `user_id=${encodeURIComponent(user)}&language=${currentLanguage()}`;
  const told = await call(`/v1/explain/${encodeURIComponent(item.id)}?${query}`);
  document.getElementById("why-title").textContent = inWords(item.properties, "title") ?? item.id;
  const body = make("div");
  for (const reason of item.reasons) body.append(make("p", `reason ${reason.kind}`, reason.text));
  if (writes) tell(body, `/v1/explain/${encodeURIComponent(item.id)}?${query}&narrate=true`, call);
  const written = item.properties.generated && item.properties.description_generated;
  if (written) {
    const text = make("p", "written", `${written} `);
    text.append(make("small", "", say("generated")));
    body.append(text);
  }
  const sum = make("p", "sum");
  sum.append(make("span", "", `${short(told.base)} `), make("small", "", say("base")));
  sum.append(make("span", "", ` → ${short(told.score)} `), make("small", "", say("total")));
  body.append(sum);
  part(body, "features", told.features.map((one) => ({ name: one.name, value: one.contribution })));
  part(body, "trail", told.history.map((one) => ({ name: `${one.title ?? one.item} · ${one.source}`, value: one.contribution })));
  part(body, "tokens", told.words.map((one) => ({ name: one.word, value: one.weight })));
  const proposers = Object.entries(told.sources);
  if (proposers.length) {
    body.append(make("h3", "", say("sources")));
    const row = make("p", "chips");
    for (const [name, { rank }] of proposers) row.append(make("span", "chip", `${name} · ${say("rank", rank + 1)}`));
    body.append(row);
  }
  document.getElementById("why-body").replaceChildren(body);
  document.getElementById("why").showModal();
}
