/** Every sentence of the page, in both languages. */

const WORDS = {
  en: {
    headline: "What would you like next?",
    wish: "Make a wish: a gift for somebody who loves the sea",
    ask: "Find",
    clear: "Clear the wish",
    who: "Whose taste",
    me: "Me, a newcomer",
    history: "What they did",
    restart: "Start over",
    add: "Add something you liked…",
    nothing: "Nothing yet. Click a card, or add something you like.",
    close: "Close",
    key: "This server asks for a key",
    open: "Open",
    why: "Why this?",
    user: (id) => `User ${id}`,
    listFor: (name) => `For ${name}`,
    listForMe: "For you",
    listForWish: (wish) => `“${wish}”`,
    meta: (count, took) => `${count} items in ${took} ms`,
    degraded: "popular choices, nothing known yet",
    facts: (items, users) => `${items} items · ${users} people`,
    model: (version) => `model ${version}`,
    events: (count) => `${count} events`,
    newcomer: "new",
    generated: "(written by palate, not by the shop)",
    told: "(said by a language model, from the reasons below alone)",
    base: "where every item starts",
    total: "score",
    features: "What the ranker saw",
    trail: "What in the history spoke for it",
    tokens: "Which words spoke for it",
    sources: "Who proposed it",
    rank: (rank) => `rank ${rank}`,
    none: "Nothing matches. Try other words.",
    offline: "The server does not answer. Is it still running?",
    toLists: "Lists",
    toExperiments: "Experiments",
    toPrices: "Prices",
  },
  zh: {
    headline: "接下来，想遇见什么？",
    wish: "说出心愿：送给喜欢大海的人的礼物",
    ask: "寻找",
    clear: "清除心愿",
    who: "谁的口味",
    me: "我，初来乍到",
    history: "做过什么",
    restart: "重新开始",
    add: "添加你喜欢的商品……",
    nothing: "还没有记录。点击卡片，或添加喜欢的商品。",
    close: "关闭",
    key: "此服务器需要密钥",
    open: "进入",
    why: "为什么？",
    user: (id) => `用户 ${id}`,
    listFor: (name) => `为 ${name} 推荐`,
    listForMe: "为你推荐",
    listForWish: (wish) => `“${wish}”`,
    meta: (count, took) => `${count} 件，用时 ${took} 毫秒`,
    degraded: "尚无记录，先看热门",
    facts: (items, users) => `${items} 件商品 · ${users} 位用户`,
    model: (version) => `模型 ${version}`,
    events: (count) => `${count} 次行为`,
    newcomer: "新",
    generated: "（由 palate 生成，并非店家所写）",
    told: "（由语言模型表述，仅依据以下理由）",
    base: "所有商品的起点",
    total: "得分",
    features: "排序模型看到的",
    trail: "历史中的依据",
    tokens: "起作用的词",
    sources: "由谁提出",
    rank: (rank) => `第 ${rank} 名`,
    none: "没有匹配的商品，换个说法试试。",
    offline: "服务器没有响应，它还在运行吗？",
    toLists: "推荐",
    toExperiments: "实验",
    toPrices: "价格",
  },
};

/** Words of another page, beside those of all pages. */
export function teach(words) {
  for (const spoken of Object.keys(WORDS)) Object.assign(WORDS[spoken], words[spoken]);
}

let language = localStorage.getItem("palate-language") || (navigator.language.startsWith("zh") ? "zh" : "en");

export const currentLanguage = () => language;

/** A sentence by name; some take values. */
export function say(name, ...values) {
  const sentence = WORDS[language][name];
  return typeof sentence === "function" ? sentence(...values) : sentence;
}

export const number = (value) => Number(value).toLocaleString(language === "zh" ? "zh-CN" : "en-GB");

/** A property in the chosen language where the catalogue has it, such as title_zh, else as it is. */
export const told = (properties, name) => properties[`${name}_${language}`] ?? properties[name];

/** Choose a language and put its words wherever the document names one. */
export function speak(chosen) {
  language = chosen === "zh" ? "zh" : "en";
  localStorage.setItem("palate-language", language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-words]")) node.textContent = say(node.dataset.words);
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = say(node.dataset.placeholder);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", say(node.dataset.label));
  for (const node of document.querySelectorAll("[data-language]")) {
    node.setAttribute("aria-pressed", String(node.dataset.language === language));
  }
}
