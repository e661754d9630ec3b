/** Pictures for things without pictures: a tile drawn from the name of the category and the id of the item. */

const SVG = "http://www.w3.org/2000/svg";

/** A small hash (FNV-1a), the same for the same words everywhere. */
export function hash(text) {
  let value = 2166136261;
  for (const character of text) value = Math.imul(value ^ character.codePointAt(0), 16777619);
  return value >>> 0;
}

/** An element with a class and, always as text and never as markup, its content. */
export function make(tag, className = "", text = undefined) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** The innermost category of a path such as "Beauty > Makeup > Nails". */
export const leaf = (category) => String(category ?? "").split(/[>›»|]/).pop().trim();

/** The family whose colour an item wears: the second step of a category path, where it has one. */
export function family(category) {
  const steps = String(category ?? "").split(/[>›»|]/).map((step) => step.trim()).filter(Boolean);
  return steps[Math.min(1, steps.length - 1)] ?? "";
}

const firstOf = (text) => [...text][0].toUpperCase();

/** A tile: colour by category, drawing by item, and as its sign the first character of the category unless given. */
export function tile(id, properties, className = "tile", sign = "") {
  const box = make("span", className);
  const kind = family(properties.category) || properties.brand || id;
  const seed = hash(id);
  // Colours of different families lie apart: the golden angle spreads hashes evenly around the wheel.
  box.style.setProperty("--hue", String(Math.round((hash(kind) % 997) * 137.508) % 360));
  const drawing = shape("svg", { viewBox: "0 0 100 60", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" });
  const at = (shift, size) => ((seed >>> shift) & 255) / 255 * size;
  const motif = seed % 3;
  if (motif === 0) {
    for (let ring = 1; ring <= 4; ring += 1) {
      const centre = { cx: at(3, 100), cy: at(9, 60), r: ring * (8 + at(15, 8)) };
      drawing.append(shape("circle", { ...centre, class: "line" }));
    }
  } else if (motif === 1) {
    for (let wave = 0; wave < 5; wave += 1) {
      const y = 10 + wave * 11;
      const lift = 4 + at(5 + wave, 14);
      const path = `M-5 ${y} C 20 ${y - lift}, 40 ${y + lift}, 60 ${y} S 90 ${y - lift}, 110 ${y}`;
      drawing.append(shape("path", { d: path, class: "line" }));
    }
  } else {
    for (let dot = 0; dot < 9; dot += 1) {
      const place = { cx: (dot % 3) * 34 + at(dot, 30), cy: Math.floor(dot / 3) * 20 + at(dot + 7, 18), r: 2 + at(dot + 11, 6) };
      drawing.append(shape("circle", { ...place, class: "dot" }));
    }
  }
  drawing.prepend(shape("circle", { cx: at(1, 100), cy: at(11, 60), r: 26 + at(17, 18), class: "glow" }));
  box.append(drawing, make("span", "sign", sign || firstOf(leaf(properties.category) || properties.title || id)));
  return box;
}
