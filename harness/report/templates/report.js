// The page contains each part of a prompt once, as a template. Every place that shows it gets a copy.
function part(number) {
  return document.getElementById("part-" + number).content;
}

function fill(place) {
  const numbers = place.dataset.parts ? place.dataset.parts.split(" ") : [];
  place.replaceChildren(...numbers.map((number) => part(number).cloneNode(true)));
}

const samples = [...document.querySelectorAll(".sample")];
const form = document.getElementById("filter");

for (const prompt of document.querySelectorAll("details.prompt")) {
  prompt.addEventListener("toggle", () => fill(prompt.querySelector(".parts")), { once: true });
}

const texts = new Map();
function text(sample) {
  if (!texts.has(sample)) {
    const prompt = sample.dataset.prompt.split(" ").filter(Boolean).map((number) => part(number).textContent);
    texts.set(sample, [sample.textContent, ...prompt].join("\n").toLowerCase());
  }
  return texts.get(sample);
}

function fits(sample, wanted) {
  const { variant, outcome, truncated } = sample.dataset;
  if (wanted.variant && variant !== wanted.variant) return false;
  if (wanted.outcome === "error" && outcome === "right") return false;
  if (wanted.outcome === "truncated" && truncated === undefined) return false;
  if (wanted.outcome && !["error", "truncated", outcome].includes(wanted.outcome)) return false;
  return text(sample).includes(wanted.text.trim().toLowerCase());
}

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  let shown = 0;
  for (const sample of samples) {
    sample.hidden = !fits(sample, wanted);
    if (!sample.hidden) shown += 1;
  }
  document.getElementById("shown").textContent = `${shown} of ${samples.length} shown`;
  document.getElementById("none").hidden = shown > 0;
  // The address contains the filter, so that a reader can share the filtered view.
  const set = Object.entries(wanted).filter(([, value]) => value);
  history.replaceState(null, "", set.length ? "#" + new URLSearchParams(set) : location.pathname + location.search);
}

function fromAddress() {
  form.reset();
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (form.elements[name]) form.elements[name].value = value;
  }
  filter();
}

form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("reset").addEventListener("click", () => {
  form.reset();
  filter();
});
window.addEventListener("hashchange", fromAddress);
fromAddress();
