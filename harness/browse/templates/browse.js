const form = document.getElementById("filter");
const articles = [...document.querySelectorAll(".instance")];
const search = form.elements.text;
const shown = () => articles.filter((article) => !article.hidden);

// In a page that was written with --out, the filters hide instances. A served page is loaded again instead.
function fits(article, wanted) {
  const { split, policy, leaf, text } = article.dataset;
  if (wanted.split && wanted.split !== split) return false;
  if (wanted.policy && wanted.policy !== policy) return false;
  if (wanted.leaf && wanted.leaf !== leaf) return false;
  const responses = [...article.querySelectorAll(".response:not([hidden])")].map((response) => response.dataset);
  if (wanted.variant && !responses.length) return false;
  for (const { dataset: { run }, value } of form.querySelectorAll("[name=outcome]")) {
    const found = responses.filter((response) => response.run === run).map((response) => response.outcome);
    if (value === "not right" && !found.some((outcome) => outcome !== "right")) return false;
    if (value && value !== "not right" && !found.includes(value)) return false;
  }
  return text.includes(wanted.text.trim().toLowerCase());
}

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  for (const response of document.querySelectorAll(".response")) {
    response.hidden = Boolean(wanted.variant) && response.dataset.variant !== wanted.variant;
  }
  for (const article of articles) article.hidden = !fits(article, wanted);
  const count = shown().length;
  document.getElementById("shown").textContent = `${count} of ${articles.length} shown`;
  document.getElementById("none").hidden = count > 0;
}

if ("served" in form.dataset) {
  for (const select of form.querySelectorAll("select")) select.addEventListener("change", () => form.requestSubmit());
  // Empty fields are left out of the address, except for outcomes, which are one for each run.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (!value && name !== "outcome") event.formData.delete(name);
  });
} else {
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => { event.preventDefault(); search.blur(); });
  document.getElementById("reset").addEventListener("click", () => { form.reset(); filter(); });
  filter();
}

let current = null;

function open(article) {
  current?.classList.remove("current");
  current = article;
  article.classList.add("current");
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
}

// The next or the previous instance, also if it is on another page.
function move(step) {
  const list = shown();
  const next = list.indexOf(current) + step;
  if (current === null && list.length) open(step > 0 ? list[0] : list[list.length - 1]);
  else if (list[next]) open(list[next]);
  else {
    const page = document.querySelector(step > 0 ? "a[rel=next]" : "a[rel=prev]");
    if (page) location.href = `${page.href}#${step > 0 ? "first" : "last"}`;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return document.activeElement.blur();
  if (event.target.matches("input, select, textarea")) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") search.focus();
  else return;
  event.preventDefault();
});

// A link to a folded part opens it.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("details")) target.open = true;
}

window.addEventListener("hashchange", unfold);
unfold();
if (location.hash === "#first" && articles.length) open(articles[0]);
if (location.hash === "#last" && articles.length) open(articles[articles.length - 1]);
