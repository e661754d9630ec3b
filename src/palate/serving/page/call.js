/** How every page asks the server. */

import { say } from "./words.js";

/** Ask the server, or tell it a body. Trouble is thrown as a sentence; where a key is wanted, the dialog opens. */
export async function call(path, body = undefined, method = "POST") {
  const headers = { accept: "application/json" };
  const key = sessionStorage.getItem("palate-key");
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, body === undefined ? { headers } : { method, headers, body: JSON.stringify(body) });
  } catch {
    throw new Error(say("offline"));
  }
  const values = await response.json();
  if (response.status === 401) document.getElementById("key").showModal();
  if (!response.ok) throw new Error(values.detail ?? response.statusText);
  return values;
}

/** What to do once somebody has given a key. */
export function onKey(work) {
  document.getElementById("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("palate-key", document.getElementById("key-text").value);
    document.getElementById("key").close();
    work();
  });
}
