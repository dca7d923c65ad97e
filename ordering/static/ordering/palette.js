// The search as a dialog: opened by its link, by Ctrl+K or ⌘K, and by / outside of fields. It asks as one types, one
// question at a time; the arrows walk through what was found; Enter goes there. Closed, the focus is where it was before.
{
  const palette = document.getElementById("palette");
  const form = palette.querySelector("form");
  const input = form.querySelector("input");
  const found = document.getElementById("palette-found");
  const empty = found.innerHTML;
  const PAUSE = 200;
  let shown = "";
  let asking = false;
  let timer;

  const text = () => input.value.trim();
  const links = () => [...found.querySelectorAll("a")];

  function open(event) {
    event.preventDefault();
    if (!palette.open) palette.showModal();
    input.select();
    input.focus();
  }

  // What is typed while an answer is on its way is asked for when that is there.
  async function ask() {
    const asked = text();
    if (asking || asked === shown) return;
    if (!asked) {
      shown = "";
      found.innerHTML = empty;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(`${form.action}?${new URLSearchParams({ q: asked, part: "" })}`);
      if (answer.redirected) return form.submit();
      if (answer.ok) found.innerHTML = await answer.text();
      found.scrollTop = 0;
    } catch {
      // The site is away; the next letter asks again.
    } finally {
      asking = false;
      shown = asked;
    }
    if (text() !== asked) ask();
  }

  function walk(event, step) {
    const all = links();
    const place = all.indexOf(document.activeElement) + step;
    event.preventDefault();
    if (place < 0 || !all.length) input.focus();
    else all[Math.min(place, all.length - 1)].focus();
  }

  function isField(element) {
    return element.matches("input, textarea, select") || element.isContentEditable;
  }

  document.getElementById("search-opener")?.addEventListener("click", (event) => {
    if (!event.metaKey && !event.ctrlKey && !event.shiftKey) open(event);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey) open(event);
    else if (event.key === "/" && !palette.open && !isField(event.target) && !event.metaKey && !event.ctrlKey) open(event);
  });

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    const [first] = links();
    if (!text()) event.preventDefault();
    else if (first && shown === text()) {
      event.preventDefault();
      location.assign(first.href);
    }
  });
  palette.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") walk(event, 1);
    else if (event.key === "ArrowUp") walk(event, -1);
    else if (event.key === "Escape") {
      event.preventDefault();
      palette.close();
    }
  });
  palette.addEventListener("click", (event) => {
    if (event.target === palette || event.target.matches("[data-close]")) palette.close();
  });
}
