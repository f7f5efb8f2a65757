// Filters, searches and sorts the claims. Without it they are all there.
"use strict";
const form = document.getElementById("choose");
const table = document.querySelector("table.claims");
const claims = [...table.tBodies];
const fields = [...form.elements].filter((field) => field.name);
const words = claims.map((claim) => claim.textContent.toLowerCase());

function show() {
  const value = Object.fromEntries(fields.map((f) => [f.name, f.value]));
  const search = value.search.toLowerCase().trim();
  let shown = 0;
  claims.forEach((claim, i) => {
    claim.hidden =
      !words[i].includes(search) ||
      ["paper", "network", "verdict"].some(
        (name) => value[name] && claim.dataset[name] !== value[name],
      );
    shown += !claim.hidden;
  });
  const number = (claim) => Number(claim.dataset[value.sort]);
  table.append(...[...claims].sort((a, b) => number(a) - number(b)));
  form.querySelector("output").value =
    `${shown} of ${claims.length} claims are shown.`;
}

// What is chosen is a part of the address, so that a link leads there.
function remember() {
  const chosen = fields.filter((f) => f.value && f.value !== "rank");
  const pairs = chosen.map((f) => [f.name, f.value]);
  const text = new URLSearchParams(pairs).toString();
  history.replaceState(null, "", text ? `#?${text}` : "#");
  show();
}

function recall() {
  if (!location.hash.startsWith("#?")) return;
  const chosen = new URLSearchParams(location.hash.slice(2));
  for (const field of fields) {
    if (chosen.has(field.name)) field.value = chosen.get(field.name);
  }
  show();
}

for (const link of document.querySelectorAll("a[data-verdict]")) {
  link.addEventListener("click", () => {
    form.elements.verdict.value = link.dataset.verdict;
    show();
  });
}
form.addEventListener("input", remember);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", recall);
form.hidden = false;
show();
recall();
